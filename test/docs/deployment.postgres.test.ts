import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runGuide } from '../support/guide.ts'
import { onPath } from '../support/installed.ts'
import { startOwnPostgres } from '../support/postgres.ts'
import { skipped } from '../support/provided.ts'

const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })

test('every command of the guide to deployment runs and prints what it says', async (context) => {
  // A server of its own: the guide makes roles, which belong to the whole server.
  const server = await startOwnPostgres()
  if ('skip' in server) return context.skip(server.skip)
  onTestFinished(server.stop)
  const missing = ['psql', 'pg_dump', 'pg_restore', 'openssl', 'curl'].filter(
    (each) => !onPath(each),
  )
  if (missing.length > 0) return context.skip(skipped(`no ${missing.join(', ')} here.`).skip)
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-deployment-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  const { hostname, port, password } = new URL(server.url)
  const { commands, printed, said } = await runGuide(
    'deployment.md',
    {
      PORT: String(await freePort()),
      PGHOST: hostname,
      PGPORT: port,
      PGPASSWORD: password,
      LC_ALL: 'C',
    },
    { cwd: folder, timeoutMs: 230_000 },
  )
  expect(commands).toBeGreaterThan(12)
  expect(printed).toEqual(said)
}, 240_000)
