import { SingleBar } from 'cli-progress'

/** One line for each step; a bar where the terminal can draw one. */
export const step = (name: string, total = 0) => {
  const started = Date.now()
  const isDrawn = process.stderr.isTTY === true && total > 0
  const bar = isDrawn
    ? new SingleBar({
        format: `{bar} {percentage} % {label}`,
        clearOnComplete: true,
        hideCursor: true,
      })
    : undefined
  if (bar) bar.start(total, 0, { label: name })
  else process.stderr.write(`${name} …\n`)
  let lastLineAt = started
  return {
    at: (done: number, label = name) => {
      if (bar) bar.update(done, { label })
      else if (total > 0 && Date.now() - lastLineAt > 10_000) {
        lastLineAt = Date.now()
        process.stderr.write(`  ${Math.floor((100 * done) / total)} % ${label}\n`)
      }
    },
    done: () => {
      bar?.stop()
      process.stderr.write(`  ${name}: ${((Date.now() - started) / 1000).toFixed(1)} s\n`)
    },
  }
}
