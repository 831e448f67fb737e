import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify, stripVTControlCharacters } from 'node:util'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const BLOCK = /^```(sh|text|json)\n(.*?)^```$/gms
/** Between what one block prints and the next. */
const BORDER = '@@@'

/** A guide may lay out JSON for people; what counts is what it says. */
const plain = (text: string): string => {
  try {
    return JSON.stringify(JSON.parse(text))
  } catch {
    return text.trim()
  }
}

/** The commands of a guide in their order, each with what it prints if the guide says it. */
const blocksOf = (guide: string) => {
  const found: { command: string; printed: string }[] = []
  for (const [, language, text = ''] of readFileSync(`${ROOT}docs/${guide}`, 'utf8').matchAll(
    BLOCK,
  )) {
    const last = found.at(-1)
    if (language === 'sh') found.push({ command: text, printed: '' })
    else if (last) last.printed = plain(text)
  }
  return found
}

type Surroundings = { cwd?: string; path?: string }

/** Runs every command of a guide in one shell; answers what was printed beside what the guide says. */
export const runGuide = async (
  guide: string,
  env: Record<string, string>,
  { cwd = ROOT, path = process.env.PATH ?? '' }: Surroundings = {},
) => {
  const commands = blocksOf(guide)
  const script = commands.map(({ command }) => `${command}\necho '${BORDER}'\n`).join('')
  const latchkey = `latchkey() { node ${ROOT}src/cli.ts "$@"; }`
  const { stdout } = await promisify(execFile)(
    'bash',
    ['-euo', 'pipefail', '-c', `${latchkey}\n${script}`],
    { cwd, env: { PATH: path, ...env }, timeout: 60_000 },
  )
  const printed = stripVTControlCharacters(stdout).split(BORDER).slice(0, -1)
  return {
    commands: commands.length,
    printed: printed.map(plain),
    said: commands.map((each) => each.printed),
  }
}
