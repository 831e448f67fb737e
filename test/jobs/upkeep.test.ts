import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { buryDead, checkBooks, compactBooks, prune, tendPartitions } from '../../src/jobs/upkeep.ts'
import { startWorkers } from '../../src/platform/jobs/workers.ts'
import { silentLog } from '../../src/platform/log.ts'
import { booksOf } from '../support/jobs.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'
import { jobsOf } from './fixtures.ts'

let server: TestServer
let jobs: ReturnType<typeof jobsOf>
const { signal } = new AbortController()

beforeAll(async () => {
  server = await startTestServer()
  jobs = jobsOf(server)
})
afterAll(() => server.drop())
beforeEach(async () => {
  await jobs.clear()
  await server.sql`truncate job_reconciliations`
})

const sums = async () => {
  const rows = await server.sql`
    select queue, tenant, sum(added)::int as added, sum(started)::int as started, sum(done)::int as done,
      sum(failed)::int as failed, sum(died)::int as died, sum(redriven)::int as redriven, sum(canceled)::int as canceled,
      sum(buried)::int as buried, sum(deleted)::int as deleted, sum(wait_ms)::int as wait_ms, sum(run_ms)::int as run_ms,
      to_json(sum_counts(wait_buckets)) as wait_buckets, to_json(sum_counts(run_buckets)) as run_buckets
    from job_minutes group by 1, 2 order by 1, 2`
  return [...rows]
}

test('adding up the books leaves every sum as it was, however often', async () => {
  const { sql } = server
  // Minutes of the last ninety days, some in several shards, some on the hour.
  await sql`
    insert into job_minutes (queue, tenant, minute, shard, added, started, done, failed, died, redriven, canceled, buried,
      deleted, wait_ms, run_ms, wait_buckets, run_buckets)
    select (array['email', 'default'])[1 + n % 2], (array['platform', 'org_a', 'org_b'])[1 + n % 3],
      date_trunc('minute', now()) - (n * n / 8) * interval '1 minute', s, n, n + 1, n + 2, 3, n % 4, 5, n % 6, 7, n % 8,
      n * 10, n * 11, array_fill((n + s)::bigint, array[12]), array_fill((n % 9)::bigint, array[12])
    from generate_series(0, 999) n, generate_series(1, 3) s
    on conflict do nothing`
  const before = await sums()
  const [now] = await sql<{ base: string }[]>`select now() as base`
  /** Rows that are finer than they should be at that time; time goes on while the test runs. */
  const tooFine = async () => {
    const [row] = await sql<{ rows: number }[]>`select count(*)::int as rows
      from job_minutes, (select ${now!.base}::timestamptz as base) b
      where minute > 'epoch' and (minute < base - interval '30 days' or (minute < base - interval '5 minutes' and shard <> 0)
        or (minute < base - interval '2 days' and minute <> date_trunc('hour', minute, 'UTC')))`
    return row!.rows
  }
  expect(await tooFine()).toBeGreaterThan(0)
  const first = await compactBooks(server.context, signal)
  expect(Object.values(first).every((taken) => taken > 0)).toBe(true)
  expect([await tooFine(), await sums()]).toEqual([0, before])
  await compactBooks(server.context, signal)
  expect([await tooFine(), await sums()]).toEqual([0, before])
  // Time goes on: what is old by now is added to what was added up before.
  await sql`update job_minutes set minute = minute - interval '100 days' where minute > 'epoch'`
  await compactBooks(server.context, signal)
  expect(await sums()).toEqual(before)
  const left = await sql`select 1 from job_minutes`
  expect(left).toHaveLength(before.length)
})

test('two that add up at once count nothing twice', async () => {
  await server.sql`
    insert into job_minutes (queue, tenant, minute, shard, added)
    select 'email', 'platform', now() - n * interval '1 hour', s, 1
    from generate_series(1, 200) n, generate_series(1, 5) s`
  await Promise.all([1, 2, 3].map(() => compactBooks(server.context, signal)))
  const [row] = await server.sql`select sum(added)::int as added from job_minutes`
  expect(row).toEqual({ added: 1000 })
})

test('what is dead for a month is buried, and accounted for', async () => {
  const [old, young] = [await jobs.addDead(), await jobs.addDead()]
  await server.sql`update jobs set started_at = now() - interval '31 days' where id = ${old}`
  expect(await buryDead(server.context, signal)).toEqual({ buried: 1 })
  expect(await booksOf(server.sql)).toMatchObject({ added: 2, buried: 1, present: 1, kept: 1 })
  const buried = await server.call(`GET /v1/jobs/${old}`)
  expect(buried.body).toMatchObject({
    state: 'dead',
    error: 'it broke',
    reason: 'nobody redrove it',
  })
  expect((await server.call(`POST /v1/jobs/${old}/retry`)).body.code).toBe('job-state')
  expect((await server.call(`POST /v1/jobs/${young}/retry`)).status).toBe(200)
  expect((await server.call(`DELETE /v1/jobs/${old}`)).status).toBe(204)
  expect((await checkBooks(server.context)).difference).toBe(0)
})

test('days are made ahead and dropped after a week, and the books stay', async () => {
  const { sql } = server
  await jobs.addDone()
  await sql`update finished_jobs set finished_at = now() - interval '8 days'`
  await sql`create table finished_jobs_20200101 partition of finished_jobs
    for values from ('2020-01-01') to ('2020-01-02')`
  expect(await tendPartitions(server.context)).toEqual({ dropped: 1 })
  const [row] = await sql`select
    to_regclass('finished_jobs_' || to_char(current_date + 3, 'YYYYMMDD')) is not null as ahead,
    (select count(*)::int from finished_jobs) as kept`
  expect(row).toEqual({ ahead: true, kept: 0 })
  expect((await checkBooks(server.context)).difference).toBe(0)
})

test('what nobody asks for any more is deleted, and nothing else', async () => {
  const { sql } = server
  const dead = await jobs.addDead()
  const gone = `job_${'0'.repeat(26)}`
  for (const [key, job, days] of [
    ['old', gone, 15],
    ['young', gone, 13],
    // It may still be redriven: what it did must stay known.
    ['redrivable', dead, 15],
  ] as const)
    await sql`insert into job_effects (key, job_id, at) values (${key}, ${job}, now() - ${days} * interval '1 day')`
  await jobs.addWorker()
  await sql`update job_workers set seen_at = now() - interval '25 hours'`
  await jobs.addWorker()
  await sql`insert into job_schedules (name, queue, job, cron) values ('s', 'email', 'test.run', '* * * * *')`
  await sql`insert into job_slots (schedule, slot) values ('s', now() - interval '31 days'), ('s', now())`
  const headers = { 'idempotency-key': 'once' }
  await server.call('POST /v1/organizations', { name: 'Once', owner: 'user:alice' }, { headers })
  await sql`update idempotency_keys set created_at = now() - interval '25 hours'`
  await sql`insert into job_reconciliations (at, difference) values (now() - interval '31 days', 0), (now(), 0)`
  await sql`insert into rate_limits (key, used, ends_at) values
    (sha256('over'), 1, now() - interval '1 second'), (sha256('open'), 1, now() + interval '1 minute')`
  const changes = () => sql`select count(*)::int as n from policy_changes`.then(([row]) => row!.n)
  await sql`update policy_changes set changed_at = now() - interval '90 days'`
  const before = await changes()
  expect(await prune(server.context)).toEqual({
    effects: 1,
    workers: 1,
    slots: 1,
    reconciliations: 1,
    idempotencyKeys: 1,
    rateLimits: 1,
  })
  const left = await sql`select key from job_effects order by key`
  expect(left.map(({ key }) => key)).toEqual(['redrivable', 'young'])
  // A node that slept reads all it has missed from there.
  expect(await changes()).toBe(before)
})

test('a row that was deleted by hand is found, told and remembered', async () => {
  const told: object[] = []
  const log = { ...silentLog, error: (fields: object) => void told.push(fields) }
  await jobs.add()
  expect((await checkBooks({ sql: server.sql, log })).difference).toBe(0)
  await server.sql`delete from jobs`
  expect((await checkBooks({ sql: server.sql, log })).difference).toBe(1)
  expect(told).toMatchObject([{ difference: 1, added: 1, present: { ready: 0 } }])
  const found = await server.sql`select difference from job_reconciliations order by at`
  expect(found.map(({ difference }) => difference)).toEqual([0, 1])
})

test('each of these is a job that runs', async () => {
  const { sql } = server
  const names = ['jobs.partitions', 'jobs.compact', 'jobs.bury', 'jobs.prune', 'jobs.reconcile']
  const workers = await startWorkers({
    ...server.jobs.runOptions(sql),
    log: silentLog,
    version: 'test',
    queues: ['maintenance'],
    pollMs: 100,
  })
  try {
    for (const name of names) {
      const schedule = server.jobs.schedules.find((each) => each.name === name)!
      const body = { job: name, cron: schedule.cron }
      expect((await server.call(`PUT /v1/jobs/schedules/${name}`, body)).status).toBe(200)
      expect((await server.call(`POST /v1/jobs/schedules/${name}/run`)).status).toBe(202)
    }
    await until(async () => (await sql`select 1 from finished_jobs`).length === names.length)
  } finally {
    await workers.stop(1000)
  }
  const ended = await sql<{ name: string; state: string }[]>`select name, state from finished_jobs`
  expect(ended.map(({ name, state }) => `${name} ${state}`).sort()).toEqual(
    names.map((name) => `${name} done`).sort(),
  )
})
