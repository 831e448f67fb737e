import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Listening, startListening } from './fixtures.ts'

const GUIDE = fileURLToPath(new URL('../../docs/authzen.md', import.meta.url))
const BLOCK = /^```(\w+)\n(.*?)^```$/gms
/** Between what one block prints and the next. */
const BORDER = '@@@'

/** The commands of the guide in their order, each with what it prints if the guide says it. */
const blocks = () => {
  const found: { command: string; printed?: unknown }[] = []
  for (const [, language, text = ''] of readFileSync(GUIDE, 'utf8').matchAll(BLOCK)) {
    const last = found.at(-1)
    if (language === 'sh') found.push({ command: text })
    else if (last) last.printed = JSON.parse(text)
  }
  return found
}

let server: Listening
beforeAll(async () => {
  server = await startListening()
})
afterAll(() => server.drop())

test('every command of the guide runs and prints what the guide says', async () => {
  const commands = blocks()
  expect(commands.length).toBeGreaterThan(5)
  const script = commands.map(({ command }) => `${command}\necho '${BORDER}'\n`).join('')
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], {
    env: {
      PATH: process.env.PATH,
      LATCHKEY_URL: server.url,
      LATCHKEY_ADMIN_KEY: server.adminKey,
    },
    timeout: 20_000,
  })
  const printed = stdout.split(BORDER).slice(0, -1)
  expect(printed.map((text) => (text.trim() === '' ? undefined : JSON.parse(text)))).toEqual(
    commands.map((each) => each.printed),
  )
})
