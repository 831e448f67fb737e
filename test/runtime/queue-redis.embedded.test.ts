import { type ChildProcess, spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeDataFolder } from '../support/data-folder.ts'
import { provideRedis, startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
let folder: string
let child: ChildProcess | undefined
let redis: Awaited<ReturnType<typeof startRedis>> | undefined

beforeEach(async (context) => {
  folder = await makeDataFolder()
  const found = await provideRedis()
  // There is no Redis to start; in CI a skip is a failure.
  if ('skip' in found) return context.skip(found.skip)
  await found.stop()
})
afterEach(async () => {
  child?.kill('SIGKILL')
  await redis?.stop()
  redis = undefined
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** `latchkey serve` with a queue Redis; resolves when it serves or has ended, with what it printed. */
const serve = (settings: Record<string, string>) => {
  child = spawn(process.execPath, ['src/cli.ts', 'serve'], {
    cwd: ROOT,
    env: { ...process.env, DATA_DIR: folder, PORT: '0', LOG_LEVEL: 'error', ...settings },
  })
  const { stdout, stderr } = child
  let printed = ''
  return new Promise<{ url: string | undefined; printed: string }>((resolve) => {
    const read = (chunk: Buffer) => {
      printed += chunk
      const url = /ready.*?(http:\/\/[\d.]+:\d+)\D/.exec(printed)?.[1]
      if (url) resolve({ url, printed })
    }
    stdout?.on('data', read)
    stderr?.on('data', read)
    child?.once('exit', () => resolve({ url: undefined, printed }))
  })
}

test('a Redis that evicts stops the start with one line that says what to do', async () => {
  redis = await startRedis(['maxmemory-policy allkeys-lru'])
  const { url, printed } = await serve({ REDIS_QUEUE_URL: redis.url })
  expect(url).toBeUndefined()
  expect(printed.trim().split('\n')).toEqual([
    expect.stringMatching(/REDIS_QUEUE_URL: its maxmemory-policy is allkeys-lru.*noeviction/),
  ])
  expect(printed).not.toContain(new URL(redis.url).password)
})

test.each<Record<string, string>>([{}, { JOB_QUEUES: 'none' }])(
  'with %o it serves while Redis comes and goes, and ends in time',
  async (settings) => {
    redis = await startRedis()
    const { url } = await serve({ REDIS_QUEUE_URL: redis.url, ...settings })
    const readiness = async () => (await (await fetch(`${url}/readyz`)).json()) as object
    expect(await readiness()).toEqual({ status: 'ready', reasons: [] })
    await redis.signal('SIGSTOP')
    if (!('JOB_QUEUES' in settings)) {
      await until(async () => JSON.stringify(await readiness()).includes('degraded'), 5000)
      expect(await readiness()).toEqual({
        status: 'degraded',
        reasons: ['the queue Redis is away; jobs are taken from PostgreSQL'],
      })
      await redis.signal('SIGCONT')
      await until(async () => !JSON.stringify(await readiness()).includes('degraded'), 5000)
      await redis.signal('SIGSTOP')
    }
    const startedAtMs = Date.now()
    const ended = new Promise<number | null>((resolve) => child?.once('exit', resolve))
    child?.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(Date.now() - startedAtMs).toBeLessThan(8000)
  },
)
