import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { guardStore } from '../../../src/platform/cache/guarded-store.ts'
import { type Listener, openRevisionLine } from '../../../src/platform/cache/revision-line.ts'
import { silentLog } from '../../../src/platform/log.ts'
import { type CacheServers, startCacheServers } from '../../support/cache-stores.ts'
import { until } from '../../support/until.ts'

let servers: CacheServers
let skip: string | undefined
const lines: ReturnType<typeof openRevisionLine>[] = []

beforeAll(async () => {
  const started = await startCacheServers()
  if ('skip' in started) skip = started.skip
  else servers = started
})
afterAll(async () => {
  await Promise.all(lines.map((line) => line.stop()))
  await servers?.stop()
})
// There is no Redis to speak over; in CI a skip is a failure.
beforeEach((context) => {
  if (skip) context.skip(skip)
})

let environments = 0
const open = (environment: string, kind: 'redis' | 'upstash' = 'redis') => {
  const store = guardStore(servers.open(kind), { log: silentLog, timeoutMs: 2_000 })
  const line = openRevisionLine({ store, environment })
  lines.push(line)
  return line
}
const listener = () => {
  const heard: [string, number][] = []
  const told: string[] = []
  const ear: Listener = {
    heard: (organizationId, revision) => void heard.push([organizationId, revision]),
    lost: () => void told.push('lost'),
    back: () => void told.push('back'),
  }
  return { heard, told, ear }
}
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test('a published revision is heard by every other node, within milliseconds', async () => {
  const environment = `r${environments++}`
  const [writer, reader] = [open(environment), open(environment)]
  const { heard, told, ear } = listener()
  reader.hear(ear)
  await until(() => told.length > 0)
  await writer.publish('org_a', 1)
  const times: number[] = []
  for (let revision = 2; revision < 102; revision++) {
    const startedAtMs = performance.now()
    await writer.publish('org_a', revision)
    while (heard.at(-1)?.[1] !== revision) await new Promise((resolve) => setImmediate(resolve))
    times.push(performance.now() - startedAtMs)
  }
  times.sort((a, b) => a - b)
  process.stdout.write(
    `\npublish → heard: p50 ${times[50]!.toFixed(1)} ms, p99 ${times[98]!.toFixed(1)} ms\n`,
  )
  expect(times[50]).toBeLessThan(50)
  expect(told).toEqual(['back'])
  expect(Date.now() - reader.sureUntilMs()).toBeLessThan(2_000)
})

test('many revisions of one moment go together, the greatest of each organization', async () => {
  const environment = `r${environments++}`
  const [writer, reader] = [open(environment), open(environment)]
  const { heard, told, ear } = listener()
  reader.hear(ear)
  await until(() => told.length > 0)
  const told5 = [5, 7, 6].map((revision) => writer.publish('org_a', revision))
  await Promise.all([...told5, writer.publish('org_b', 1), writer.publish('platform', 12)])
  await until(() => heard.length >= 3)
  await sleep(20)
  expect(heard.toSorted()).toEqual([
    ['org_a', 7],
    ['org_b', 1],
    ['platform', 12],
  ])
})

test.each(['redis', 'upstash'] as const)(
  'over %s a revision is read for a second, never lower than it was raised',
  async (kind) => {
    const environment = `r${environments++}`
    const [line, tcp] = [open(environment, kind), open(environment)]
    await line.publish('org_a', 5)
    await tcp.publish('org_a', 3)
    await line.publish('org_b', Number.MAX_SAFE_INTEGER)
    expect(await line.read(['org_a', 'org_c', 'org_b'])).toEqual([5, null, Number.MAX_SAFE_INTEGER])
    await sleep(1_050)
    expect(await line.read(['org_a'])).toEqual([null])
    expect(line.canHear).toBe(kind === 'redis')
  },
)

test('a lost line says so, is opened again, and says that too', async () => {
  const environment = `r${environments++}`
  const [writer, reader] = [open(environment), open(environment)]
  const { heard, told, ear } = listener()
  reader.hear(ear)
  await until(() => told.length > 0)
  await servers.redis.restart('SIGKILL', 200)
  await until(() => told.length >= 3)
  expect(told).toEqual(['back', 'lost', 'back'])
  await until(async () => {
    await writer.publish('org_a', 9).catch(() => {})
    return heard.some(([, revision]) => revision === 9)
    // The writer's breaker may have opened, for ten seconds.
  }, 25_000)
})

test('a frozen Redis, which closes nothing, is noticed within a second', async () => {
  const environment = `r${environments++}`
  const [writer, reader] = [open(environment), open(environment)]
  const { told, ear } = listener()
  reader.hear(ear)
  await until(() => told.length > 0)
  await servers.redis.signal('SIGSTOP')
  try {
    const startedAtMs = performance.now()
    await until(() => told.includes('lost'), 3_000)
    expect(performance.now() - startedAtMs).toBeLessThan(1_200)
    expect(reader.sureUntilMs()).toBe(Number.NEGATIVE_INFINITY)
    // A failed publish is its caller's to try again.
    await expect(writer.publish('org_a', 1)).rejects.toThrow()
  } finally {
    await servers.redis.signal('SIGCONT')
  }
  await until(() => told.at(-1) === 'back')
})

test('messages of strangers are not believed to be revisions', async () => {
  const environment = `r${environments++}`
  const [stranger, reader] = [servers.open('redis'), open(environment)]
  const { heard, told, ear } = listener()
  reader.hear(ear)
  await until(() => told.length > 0)
  for (const message of [
    '',
    'x',
    'org_a -1',
    'org_a 1e9',
    'a b 3',
    'org:a 4',
    `${'x'.repeat(99)} 1`,
  ])
    await stranger.publish(`v1:${environment}:revisions`, message)
  await stranger.publish(`v1:${environment}:revisions`, 'nonsense\norg_a 3')
  await until(() => heard.length > 0)
  expect(heard).toEqual([['org_a', 3]])
})
