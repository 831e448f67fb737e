import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify, stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { QUEUES } from '../../src/platform/jobs/queue.ts'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { jobsOf } from './fixtures.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BLOCK = /^```(sh|text)\n(.*?)^```$/gms
/** Between what one block prints and the next. */
const BORDER = '@@@'

/** The commands of the guide in their order, each with what it prints if the guide says it. */
const blocks = () => {
  const found: { command: string; printed: string }[] = []
  for (const [, language, text = ''] of readFileSync(`${ROOT}docs/jobs.md`, 'utf8').matchAll(
    BLOCK,
  )) {
    const last = found.at(-1)
    if (language === 'sh') found.push({ command: text, printed: '' })
    else if (last) last.printed = text.trim()
  }
  return found
}

let server: Listening
beforeAll(async () => {
  server = await startListening()
  // What a server that just started says of itself.
  const slots = QUEUES.map((queue) => [queue, { slots: queue === 'security' ? 2 : 1, running: 0 }])
  await jobsOf(server).addWorker(Object.fromEntries(slots))
})
afterAll(() => server.drop())

test('every command of the guide runs and prints what the guide says', async () => {
  const commands = blocks()
  expect(commands.length).toBeGreaterThan(6)
  const script = commands.map(({ command }) => `${command}\necho '${BORDER}'\n`).join('')
  const { stdout } = await promisify(execFile)(
    'bash',
    ['-euo', 'pipefail', '-c', `latchkey() { node src/cli.ts "$@"; }\n${script}`],
    {
      cwd: ROOT,
      env: { PATH: process.env.PATH, LATCHKEY_URL: server.url, LATCHKEY_KEY: server.adminKey },
      timeout: 60_000,
    },
  )
  const printed = stripVTControlCharacters(stdout).split(BORDER).slice(0, -1)
  expect(printed.map((text) => text.trim())).toEqual(commands.map((each) => each.printed))
})
