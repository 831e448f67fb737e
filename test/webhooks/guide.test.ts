import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWorkers, type Workers } from '../../src/platform/jobs/workers.ts'
import { silentLog } from '../../src/platform/log.ts'
import { createSend } from '../../src/platform/node/send.ts'
import { type Listening, startListening } from '../authzen/fixtures.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BLOCK = /^```(\w+)\n(.*?)^```$/gms
/** Between what one block prints and the next. */
const BORDER = '@@@'

/** The commands of the guide in their order, each with what it prints if the guide says it. */
const blocks = () => {
  const found: { command: string; printed?: unknown }[] = []
  const guide = readFileSync(join(ROOT, 'docs/webhooks.md'), 'utf8')
  for (const [, language, text = ''] of guide.matchAll(BLOCK)) {
    const last = found.at(-1)
    if (language === 'sh') found.push({ command: text })
    else if (language === 'json' && last) last.printed = JSON.parse(text)
  }
  return found
}

const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })

let server: Listening
let workers: Workers
let folder: string
beforeAll(async () => {
  const send = createSend({ privateAddresses: true })
  server = await startListening({ webhookPrivateAddresses: true, send })
  const options = server.jobs.runOptions(server.sql)
  const queues = ['webhook'] as const
  workers = await startWorkers({ ...options, log: silentLog, version: 'test', queues, pollMs: 100 })
  server.jobs.onWake(workers.wake)
  folder = await mkdtemp(join(tmpdir(), 'latchkey-guide-'))
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
})
afterAll(async () => {
  await workers.stop(100)
  await server.drop()
  await rm(folder, { recursive: true, force: true })
})

test('every command of the guide runs and prints what the guide says', async () => {
  const commands = blocks()
  expect(commands.length).toBeGreaterThan(10)
  const script = commands.map(({ command }) => `${command}\necho '${BORDER}'\n`).join('')
  const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    env: {
      PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`,
      LATCHKEY_URL: server.url,
      LATCHKEY_ADMIN_KEY: server.adminKey,
      RECEIVER_PORT: String(await freePort()),
    },
    timeout: 60_000,
  })
  const printed = stdout.split(BORDER).slice(0, -1)
  expect(printed.map((text) => (text.trim() === '' ? undefined : JSON.parse(text)))).toEqual(
    commands.map((each) => each.printed),
  )
})
