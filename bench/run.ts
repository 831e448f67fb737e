import { parseArgs } from 'node:util'
import { connect } from '../src/platform/db/connect.ts'
import { migrate } from '../src/platform/db/migrate.ts'
import { readMigrations } from '../src/platform/db/migrations.ts'
import { providePostgres, startOwnPostgres } from '../test/support/postgres.ts'
import { benchAdvice } from './advice.ts'
import { benchCache } from './cache.ts'
import { benchCasbin } from './casbin.ts'
import { benchCatalog } from './catalog.ts'
import { benchCold } from './cold.ts'
import { conditionsOf, loadAverage } from './conditions.ts'
import { openLoaded } from './databases.ts'
import { benchDecide } from './decide.ts'
import { benchEndpoints } from './endpoints.ts'
import type { Figure } from './figures.ts'
import { benchFreshness } from './freshness.ts'
import { benchHttp } from './http.ts'
import { benchJobs } from './jobs.ts'
import { startBaseline, startLatchkey, untilNoticed } from './latchkey.ts'
import { installRoles } from './load.ts'
import { sizesOfMix } from './mix.ts'
import { residentBytes } from './processes.ts'
import { step } from './progress.ts'
import { type Section, writeReport } from './report.ts'
import { benchRuntime } from './runtime.ts'
import { startCannon } from './turns.ts'

// npm run bench              everything, about a quarter of an hour
// npm run bench -- --short   fewer grants, short turns: shows that it works, not how fast it is

// npm run bench -- --only jobs        the job queue alone, some minutes
// npm run bench -- --only endpoints   the management API alone
// npm run bench -- --only cache       the cache alone
// npm run bench -- --only freshness   how soon a revoke on one node counts on another
// npm run bench -- --only catalog     searches of the marketplace, on a server and on embedded storage
// npm run bench -- --only advice      indexes advised for two workloads, beside other rules and the best known;
//                                     with --budget what is advised within 100 MB, too
// npm run bench -- --only runtime     two processes beside one; /check in workerd beside a no-op

const { values: given } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    budget: { type: 'boolean', default: false },
    only: { type: 'string' },
  },
})

const AMOUNT = given.short
  ? { grants: 50_000, small: 5_000, questions: 1024, batches: 32, once: 110 }
  : { grants: 1_000_000, small: 10_000, questions: 10_240, batches: 160, once: 1100 }
const TURNS = given.short
  ? { turns: 2, seconds: 1, warmUpSeconds: 1, connections: 16 }
  : { turns: 5, seconds: 5, warmUpSeconds: 1, connections: 16 }
const CASBIN = given.short
  ? { lines: [100, 1000], ms: 100 }
  : { lines: [100, 1000, 10_000], ms: 1000 }

const JOBS = given.short
  ? { jobs: 5_000, turns: 2, foreign: 20_000, small: 30 }
  : { jobs: 20_000, turns: 5, foreign: 100_000, small: 200 }

const ENDPOINTS = given.short
  ? {
      organizations: 1_000,
      members: 10_000,
      big: 1_000,
      clients: 50,
      perSecond: 2,
      seconds: 2,
      requests: 200,
    }
  : {
      organizations: 10_000,
      members: 100_000,
      big: 10_000,
      clients: 50,
      perSecond: 2,
      seconds: 10,
      requests: 1_000,
    }

const RUNTIME = given.short
  ? { grants: 2_000, questions: 256, turns: 2, seconds: 1, connections: 64 }
  : { grants: 10_000, questions: 1_024, turns: 5, seconds: 5, connections: 64 }

const CATALOG = given.short
  ? { templates: 5_000, requests: 20 }
  : { templates: 100_000, requests: 200 }

const ADVICE = { executions: given.short ? 40_000 : 400_000, isWithBudget: given.budget }

const endings: (() => Promise<unknown>)[] = []
const untilEnd = <Value extends { stop: () => Promise<unknown> }>(value: Value): Value => {
  endings.unshift(() => value.stop())
  return value
}

/** Servers over PostgreSQL: the cold questions, then everything in turns, then the memory it took. */
const measureServers = async (postgresUrl: string, howPostgres: string) => {
  const { questions, batches, once } = AMOUNT
  const shared = { postgresUrl, questions }
  const sizes = { mix: sizesOfMix(AMOUNT.grants), small: sizesOfMix(AMOUNT.small) }
  const mix = untilEnd(
    await openLoaded({ ...shared, name: 'bench_mix', sizes: sizes.mix, batches, once }),
  )
  const small = untilEnd(
    await openLoaded({ ...shared, name: 'bench_small', sizes: sizes.small, batches: 0, once: 0 }),
  )
  const conditions = await conditionsOf(mix.sql, howPostgres)
  const starting = step('start the servers')
  const contenders = {
    latchkey: untilEnd(await startLatchkey(mix.settings)),
    small: untilEnd(await startLatchkey(small.settings)),
    baseline: untilEnd(await startBaseline(mix.settings)),
  }
  for (const { sql } of [mix, small]) await installRoles(sql)
  await untilNoticed()
  starting.done()
  const { latchkey } = contenders
  const asking = step('first questions, PostgreSQL')
  const cold = await benchCold(latchkey.url, 'PostgreSQL over loopback', mix.first)
  asking.done()
  const before = residentBytes(latchkey.pid)

  const cannon = untilEnd(startCannon())
  const total = TURNS.turns * 8
  const turning = step('turns', total)
  let turns = 0
  const http = await benchHttp(
    cannon,
    contenders,
    { mix: mix.mix, small: small.mix },
    {
      ...TURNS,
      onTurn: (turn, name) => turning.at(turns++, `turn ${turn}: ${name}`),
    },
  )
  turning.done()
  const allowed = mix.mix.questions.filter((question) => question.allowed).length
  const grown = (residentBytes(latchkey.pid) - before) / mix.mix.grants
  const more: Figure[] = [
    {
      name: 'allowed',
      value: (100 * allowed) / questions,
      unit: '%',
      note: `of ${questions} distinct bodies over ${Math.min(questions, sizes.mix.length)} organizations, ${mix.mix.grants} grants`,
    },
    {
      name: 'resident memory of the server, grown',
      value: grown,
      unit: 'B/grant',
      note: 'members, grants and views, after all turns; see decide in process for what a grant takes',
    },
  ]
  return { conditions, cold, http: [...http, ...more] }
}

/** Cold questions over the embedded storage. Its built-in roles are those of the packs, so only grants decide. */
const measureEmbedded = async () => {
  const options = { name: 'embedded', sizes: [], questions: 0, batches: 0, template: [] }
  const loaded = untilEnd(await openLoaded({ ...options, once: AMOUNT.once }))
  await loaded.close()
  const server = untilEnd(await startLatchkey(loaded.settings))
  const asking = step('first questions, embedded storage')
  const figures = await benchCold(server.url, 'embedded storage', loaded.first)
  asking.done()
  await server.stop()
  return figures
}

/** The job queue alone, on a PostgreSQL that waits for the disk at every commit. */
const measureJobs = async () => {
  const postgres = await startOwnPostgres(['fsync=on', 'full_page_writes=on'])
  if ('skip' in postgres) throw new Error(postgres.skip)
  untilEnd(postgres)
  const sql = connect({ url: postgres.url }, { connectionsMax: 1 })
  const conditions = await conditionsOf(sql, 'a server of its own')
  await sql.end()
  const figures = await benchJobs(postgres.url, JOBS)
  return { conditions, section: { title: 'Jobs', figures } }
}

/** The cache alone, on a PostgreSQL and a Redis of its own. */
const measureCache = async () => {
  const postgres = await startOwnPostgres()
  if ('skip' in postgres) throw new Error(postgres.skip)
  untilEnd(postgres)
  const sql = connect({ url: postgres.url })
  try {
    await migrate(sql, await readMigrations())
    const conditions = await conditionsOf(sql, 'a server of its own')
    const figures = await benchCache(sql, given.short)
    return { conditions, section: { title: 'Cache', figures } }
  } finally {
    await sql.end()
  }
}

/** The management API alone. */
const measureEndpoints = async (postgresUrl: string): Promise<Section> => ({
  title: `Endpoints: ${ENDPOINTS.members.toLocaleString('en')} members in ${ENDPOINTS.organizations.toLocaleString('en')} organizations`,
  figures: await benchEndpoints(postgresUrl, ENDPOINTS),
})

/** Two nodes: how soon a revoke on one counts on the other. */
const measureFreshness = async () => {
  const postgres = await startOwnPostgres(['fsync=on', 'full_page_writes=on'])
  if ('skip' in postgres) throw new Error(postgres.skip)
  untilEnd(postgres)
  const sql = connect({ url: postgres.url }, { connectionsMax: 1 })
  const conditions = await conditionsOf(sql, 'a server of its own')
  await sql.end()
  const figures = await benchFreshness(postgres.url, given.short ? 50 : 500)
  return { conditions, section: { title: 'Freshness: two nodes', figures } }
}

/** A server's memory for pages: what it brings along, 128 MB, is meant to start on any machine; a quarter of memory is usual. */
const SHARED_BUFFERS = 'shared_buffers=512MB'

/** Searches of the marketplace, on a PostgreSQL of its own and on embedded storage. */
const measureCatalog = async () => {
  const postgres = await startOwnPostgres(['fsync=on', 'full_page_writes=on', SHARED_BUFFERS])
  if ('skip' in postgres) throw new Error(postgres.skip)
  untilEnd(postgres)
  const sql = connect({ url: postgres.url }, { connectionsMax: 1 })
  const conditions = {
    ...(await conditionsOf(sql, `a server of its own, ${SHARED_BUFFERS}`)),
    pinned: 'no: one client in this process, one search behind the other, no page kept',
  }
  await sql.end()
  const figures = await benchCatalog(postgres.url, CATALOG)
  const title = `Catalog: ${CATALOG.templates.toLocaleString('en')} templates`
  return { conditions, section: { title, figures } }
}

/** Of a server whose tables are thrown away: loading waits for no disk. Costs are those of plans without parallel workers. */
const ADVICE_SETTINGS = [
  ...[SHARED_BUFFERS, 'maintenance_work_mem=256MB', 'max_wal_size=8GB', 'wal_level=minimal'],
  ...['max_wal_senders=0', 'synchronous_commit=off', 'autovacuum=off', 'jit=off'],
  'max_parallel_workers_per_gather=0',
]

/** Indexes that are advised, on a PostgreSQL of its own. */
const measureAdvice = async () => {
  const postgres = await startOwnPostgres(ADVICE_SETTINGS)
  if ('skip' in postgres) throw new Error(postgres.skip)
  untilEnd(postgres)
  const sql = connect({ url: postgres.url }, { connectionsMax: 1 })
  const conditions = {
    ...(await conditionsOf(sql, `a server of its own, ${ADVICE_SETTINGS.join(', ')}`)),
    pinned: 'no: PostgreSQL, this process and the shadow share all cores of this one machine',
  }
  await sql.end()
  return { conditions, sections: await benchAdvice(postgres.url, ADVICE) }
}

/** All cores of one machine, and workerd: nothing is kept to a core. */
const measureRuntime = async () => {
  const postgres = await startOwnPostgres(['fsync=on', 'full_page_writes=on'])
  if ('skip' in postgres) throw new Error(postgres.skip)
  untilEnd(postgres)
  const sql = connect({ url: postgres.url }, { connectionsMax: 1 })
  const conditions = {
    ...(await conditionsOf(sql, 'a server of its own')),
    pinned: 'no: servers, PostgreSQL and the load generator share all cores of this one machine',
  }
  await sql.end()
  const figures = await benchRuntime(postgres.url, RUNTIME)
  const title = 'Runtimes, not pinned, the load generator on the same cores'
  return { conditions, section: { title, figures } }
}

const measure = async () => {
  if (given.only === 'catalog') {
    const { conditions, section } = await measureCatalog()
    return writeReport(conditions, [section], given.short, 'catalog')
  }
  if (given.only === 'advice') {
    const { conditions, sections } = await measureAdvice()
    return writeReport(conditions, sections, given.short, 'advice')
  }
  if (given.only === 'runtime') {
    const { conditions, section } = await measureRuntime()
    return writeReport(conditions, [section], given.short, 'runtime')
  }
  if (given.only === 'freshness') {
    const { conditions, section } = await measureFreshness()
    return writeReport(conditions, [section], given.short, 'freshness')
  }
  if (given.only === 'endpoints') {
    const own = await startOwnPostgres(['fsync=on', 'full_page_writes=on'])
    if ('skip' in own) throw new Error(own.skip)
    untilEnd(own)
    const sql = connect({ url: own.url }, { connectionsMax: 1 })
    const conditions = await conditionsOf(sql, 'a server of its own')
    await sql.end()
    return writeReport(conditions, [await measureEndpoints(own.url)], given.short, 'endpoints')
  }
  if (given.only === 'cache') {
    const { conditions, section } = await measureCache()
    return writeReport(conditions, [section], given.short, 'cache')
  }
  if (given.only === 'jobs') {
    const { conditions, section } = await measureJobs()
    return writeReport(conditions, [section], given.short, 'jobs')
  }
  const postgres = await providePostgres()
  if ('skip' in postgres) throw new Error(postgres.skip)
  untilEnd(postgres)
  const servers = await measureServers(postgres.url, postgres.how)
  const endpoints = await measureEndpoints(postgres.url)
  const embedded = await measureEmbedded()
  for (const end of endings.splice(0)) await end()
  const jobs = await measureJobs()
  const cache = await measureCache()
  const freshness = await measureFreshness()
  const catalog = await measureCatalog()
  const runtime = await measureRuntime()
  for (const end of endings.splice(0)) await end()
  const casbin = step('node-casbin')
  const peer = await benchCasbin(CASBIN.lines, CASBIN.ms)
  casbin.done()
  const deciding = step('decide in process, about a minute')
  const decide = given.short ? [] : await benchDecide()
  deciding.done()
  const sections: Section[] = [
    { title: 'Over HTTP, in turns', figures: servers.http },
    { title: 'Cold', figures: [...servers.cold, ...embedded] },
    endpoints,
    jobs.section,
    cache.section,
    freshness.section,
    catalog.section,
    runtime.section,
    { title: 'node-casbin', figures: peer },
    {
      title: 'Decide in process',
      figures: decide.map((row) => ({ ...row, target: row.target ?? undefined })),
    },
  ]
  const conditions = { ...servers.conditions, 'load average at the end': loadAverage() }
  return writeReport(
    conditions,
    sections.filter(({ figures }) => figures.length > 0),
    given.short,
  )
}

try {
  console.log(`\n${await measure()}\n`)
} finally {
  for (const end of endings.splice(0)) await end()
}
