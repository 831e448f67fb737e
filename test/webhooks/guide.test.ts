import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWorkers, type Workers } from '../../src/platform/jobs/workers.ts'
import { silentLog } from '../../src/platform/log.ts'
import { createSend } from '../../src/platform/node/send.ts'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { runGuide } from '../support/guide.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
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
  const env = {
    LATCHKEY_URL: server.url,
    LATCHKEY_ADMIN_KEY: server.adminKey,
    RECEIVER_PORT: String(await freePort()),
  }
  const path = `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`
  const { commands, printed, said } = await runGuide('webhooks.md', env, { cwd: folder, path })
  expect(commands).toBeGreaterThan(10)
  expect(printed).toEqual(said)
})
