import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

type Surroundings = { cwd?: string; path?: string; timeoutMs?: number }

/** A folder with `latchkey` in it, so that a guide can start it in the background as a process of its own. */
const commandFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-guide-'))
  symlinkSync(`${ROOT}bin/latchkey.js`, join(folder, 'latchkey'))
  return folder
}

/** Runs every command of a guide in one shell; answers what was printed beside what the guide says. */
export const runGuide = async (
  guide: string,
  env: Record<string, string>,
  { cwd = ROOT, path = process.env.PATH ?? '', timeoutMs = 60_000 }: Surroundings = {},
) => {
  const commands = blocksOf(guide)
  const script = commands.map(({ command }) => `${command}\necho '${BORDER}'\n`).join('')
  const folder = commandFolder()
  const { stdout } = await promisify(execFile)(
    'bash',
    // What a guide that fails has started in the background does not outlive it.
    ['-euo', 'pipefail', '-c', `trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n${script}`],
    { cwd, env: { PATH: `${folder}:${path}`, ...env }, timeout: timeoutMs },
  ).finally(() => rmSync(folder, { recursive: true, force: true }))
  const printed = stripVTControlCharacters(stdout).split(BORDER).slice(0, -1)
  return {
    commands: commands.length,
    printed: printed.map(plain),
    said: commands.map((each) => each.printed),
  }
}
