import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import { migrate } from '../../src/platform/db/migrate.ts'
import { readMigrations } from '../../src/platform/db/migrations.ts'
import { asAdministrator, within } from '../support/database.ts'
import type { Breakable } from '../support/guarded.ts'
import { enqueueNumbers } from '../support/jobs.ts'
import { startOwnPostgres } from '../support/postgres.ts'
import { provideRedis, startRedis } from '../support/redis.ts'
import { feed, once, settle, startFleet, untilWorkedOff } from './arena.ts'

// Faults of every kind while jobs are added: afterwards each acknowledged job has made its effect exactly once.
const JOBS = Number(process.env.LATCHKEY_CHAOS_JOBS ?? 400)
const isLong = JOBS > 1000
/** Milliseconds over which the jobs of a cell are added, and in which its faults happen. */
const FEED_MS = isLong ? 20_000 : 1000
const FREEZE_MS = isLong ? 35_000 : 3000
const SETTLE_MS_MAX = 60_000 + FREEZE_MS
const TEST_MS_MAX = FEED_MS + SETTLE_MS_MAX + 60_000

type Redis = Breakable & { url: string }
type Ground = {
  url: string
  postgres: Breakable & { url: string }
  redis: Redis
  /** Whether the jobs are still being added. */
  isOn: () => boolean
  fleet: ReturnType<typeof startFleet>
  /** What new worker processes are given instead of Redis. */
  use: (redisUrl: string | undefined) => void
}
/** Breaks things for as long as jobs are added; answers how often. */
type Fault = (ground: Ground) => Promise<number>

/** Does something again and again, with pauses, while jobs are added; at least twice. */
const again =
  (pauseMs: number, strike: (ground: Ground, turn: number) => Promise<unknown>): Fault =>
  async (ground) => {
    let faults = 0
    while (ground.isOn() || faults < 2) {
      await sleep(pauseMs)
      await strike(ground, faults)
      faults++
    }
    return faults
  }

const onRedis = async (url: string, work: (client: ReturnType<typeof createClient>) => unknown) => {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  client.on('error', () => {})
  try {
    await client.connect()
    await work(client as never)
  } finally {
    client.destroy()
  }
}

const killWorker = again(isLong ? 2000 : 700, async ({ fleet }, turn) =>
  fleet.signal('SIGKILL', turn),
)
const restartPostgres = again(isLong ? 5000 : 1000, ({ postgres }) =>
  postgres.restart('SIGQUIT', 300),
)
const cutConnections = again(isLong ? 500 : 200, ({ url }) =>
  once(
    url,
    (sql) => sql`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and random() < 0.5`,
  ).catch(() => {}),
)
/** Frozen past its lease, in which others take its jobs; then it goes on as if nothing had happened. */
const zombie = again(isLong ? 2000 : 300, async ({ fleet }, turn) => {
  const child = fleet.signal('SIGSTOP', turn)
  await sleep(isLong ? 2500 : 2000)
  child?.kill('SIGCONT')
})
const killRedis = again(isLong ? 4000 : 700, ({ redis }, turn) =>
  redis.restart('SIGKILL', turn % 2 ? 700 : 0),
)
const flushRedis = again(isLong ? 1500 : 300, ({ redis }) =>
  onRedis(redis.url, (client) => client.flushAll()),
)
const evictingRedis: Fault = async (ground) => {
  await onRedis(ground.redis.url, async (client) => {
    await client.configSet('maxmemory-policy', 'allkeys-random')
    await client.configSet('maxmemory', '1500kb')
  })
  // Keys of others crowd ours out.
  return again(100, ({ redis }, turn) =>
    onRedis(redis.url, async (client) => {
      for (let key = 0; key < 100; key++)
        await client.set(`other:${turn}:${key}`, 'x'.repeat(2000)).catch(() => {})
    }),
  )(ground)
}
const frozenRedis: Fault = async ({ redis }) => {
  await sleep(500)
  await redis.signal('SIGSTOP')
  await sleep(FREEZE_MS)
  await redis.signal('SIGCONT')
  return 1
}
const oldDump: Fault = async (ground) => {
  await sleep(FEED_MS / 4)
  await onRedis(ground.redis.url, (client) => client.sendCommand(['SAVE']))
  return again(isLong ? 5000 : 900, ({ redis }) => redis.restart('SIGKILL', 300))(ground)
}
/** Workers with Redis give way to workers without, and the other way round. */
const switchExecutor = again(isLong ? 2500 : 700, async ({ fleet, use, redis }, turn) => {
  use(turn % 2 ? redis.url : undefined)
  fleet.signal('SIGTERM', turn)
})

const EMBEDDED: Record<string, Fault> = {
  'kill -9 of a worker': killWorker,
  'connections cut': cutConnections,
  'zombie: frozen past its lease': zombie,
}
const BULLMQ: Record<string, Fault> = {
  'kill -9 of a worker': killWorker,
  'zombie: frozen past its lease': zombie,
  'Redis killed, back empty': killRedis,
  FLUSHALL: flushRedis,
  'Redis evicts': evictingRedis,
  [`Redis frozen for ${FREEZE_MS / 1000} s`]: frozenRedis,
  'Redis back from an old dump': oldDump,
  'executor switched while running': switchExecutor,
}

const RESTARTED = 'PostgreSQL restarted'
/** The number of the job that kills its process. */
const POISON = 1_000_000_000
type Kind = 'embedded' | 'bullmq'
const KINDS = [
  ['embedded', EMBEDDED],
  ['bullmq', BULLMQ],
] satisfies [Kind, Record<string, Fault>][]

let postgres: Breakable & { url: string }
let skip: string | undefined
type Row = {
  executor: Kind
  cell: string
  jobs: number
  faults: number
  /** Processes that ended before they were told to. */
  deaths: number
  lost: number
  double: number
  dead: number
  seconds: number
}
const table: (Row | { executor: Kind; cell: string; problem: string })[] = []
const COLUMNS = [
  'executor',
  'cell',
  'jobs',
  'faults',
  'deaths',
  'lost',
  'double',
  'dead',
  'seconds',
]
/** The matrix, as a table of Markdown. */
const matrix = () =>
  [
    COLUMNS,
    COLUMNS.map(() => '---'),
    ...table.map((row) => COLUMNS.map((name) => cellOf(row, name))),
  ]
    .map((cells) => `| ${cells.join(' | ')} |\n`)
    .join('')
const cellOf = (row: object, name: string) => (row as Record<string, unknown>)[name] ?? '?'
vi.setConfig({ maxConcurrency: 2 })

beforeAll(async () => {
  const [server, redis] = [await startOwnPostgres(), await provideRedis()]
  if ('skip' in server || 'skip' in redis) {
    skip = 'skip' in server ? server.skip : 'skip' in redis ? redis.skip : undefined
    return
  }
  await redis.stop()
  postgres = server
  await asAdministrator(postgres.url, 'create database chaos')
  const sql = connect({ url: within(postgres.url, 'chaos') }, { connectionsMax: 1 })
  await migrate(sql, await readMigrations())
  await sql`create table chaos_effects (n int not null)`
  await sql`update job_queues set slots_min = 10 where queue = 'default'`
  await sql.end()
})
afterAll(async () => {
  process.stdout.write(matrix())
  await postgres?.stop()
})

/** A database and a Redis of its own, two worker processes, jobs that are added, and a fault; then the account. */
const runCell = async (
  kind: Kind,
  cell: string,
  fault: Fault,
  before: (sql: Sql) => Promise<unknown> = async () => {},
) => {
  const name = `chaos_${randomBytes(4).toString('hex')}`
  await asAdministrator(postgres.url, `create database ${name} template chaos`)
  const url = within(postgres.url, name)
  const redis = await startRedis()
  let redisUrl = kind === 'bullmq' ? redis.url : undefined
  const fleet = startFleet(2, () => ({ DATABASE_URL: url, REDIS_QUEUE_URL: redisUrl }))
  const startedAtMs = Date.now()
  try {
    await once(url, before)
    await fleet.ready()
    let on = true
    const fed = feed(url, JOBS, FEED_MS).finally(() => {
      on = false
    })
    const [acknowledged, faults] = await Promise.all([
      fed,
      fault({
        ...{ url, postgres, redis, fleet },
        isOn: () => on,
        use: (next) => {
          redisUrl = next
        },
      }),
    ])
    await untilWorkedOff(url, SETTLE_MS_MAX)
    await fleet.stop()
    if (process.env.CHAOS_LOG) process.stderr.write(fleet.printed())
    const account = await once(url, (sql) => settle(sql, acknowledged))
    const { lost, double, dead } = account
    const seconds = Math.round((Date.now() - startedAtMs) / 100) / 10
    table.push({
      ...{ executor: kind, cell, jobs: acknowledged.length, faults, deaths: fleet.deaths() },
      ...{ lost, double, dead: dead.length, seconds },
    })
    return { ...account, acknowledged, fleet }
  } catch (error) {
    table.push({ executor: kind, cell, problem: String(error) })
    throw new Error(`${error}\n${fleet.printed().slice(-3000)}`)
  } finally {
    await fleet.stop()
    await redis.stop()
  }
}

const check = async (kind: Kind, cell: string, fault: Fault) => {
  if (skip) return
  const { acknowledged: _, fleet: __, ...account } = await runCell(kind, cell, fault)
  expect(account).toEqual({ lost: 0, double: 0, unfinished: 0, dead: [], gap: 0 })
}

// All cells share one PostgreSQL: those that restart it run alone, the others two at a time.
describe.each(KINDS)('%s', (kind, _faults) => {
  test(
    `${RESTARTED}: each job makes its effect once`,
    () => check(kind, RESTARTED, restartPostgres),
    TEST_MS_MAX,
  )
})

describe.concurrent.each(KINDS)('%s', (kind, faults) => {
  test.each(Object.entries(faults))(
    '%s: each job makes its effect once',
    (cell, fault) => check(kind, cell, fault),
    TEST_MS_MAX,
  )

  test(
    'a poison job is dead after three processes, and all others run',
    async () => {
      if (skip) return
      const poison = (sql: Sql) => enqueueNumbers(sql, 1, { from: POISON, how: 'poison' })
      const waitUntilAdded: Fault = async ({ fleet, isOn }) => {
        while (isOn()) await sleep(50)
        return fleet.deaths()
      }
      const {
        fleet,
        acknowledged: _,
        ...account
      } = await runCell(kind, 'poison job', waitUntilAdded, poison)
      expect(account).toEqual({ lost: 0, double: 0, unfinished: 0, dead: [POISON], gap: 0 })
      expect(fleet.deaths()).toBeGreaterThanOrEqual(3)
    },
    TEST_MS_MAX,
  )
})
