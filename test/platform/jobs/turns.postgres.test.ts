import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { connect, type Sql } from '../../../src/platform/db/connect.ts'
import { newId } from '../../../src/platform/id.ts'
import { claimJobs } from '../../../src/platform/jobs/repository.ts'
import type { StartedJob } from '../../../src/platform/jobs/run.ts'
import { openTestDatabase, type TestDatabase } from '../../support/database.ts'
import { enqueueNumbers } from '../../support/jobs.ts'

// Who is next: noisy neighbors get their share and no more, and whoever comes new is served at once.
const TAKER = { worker: 'wrk_test', executor: 'embedded' }
let database: TestDatabase
let sql: Sql
beforeAll(async () => {
  database = await openTestDatabase({ connectionsMax: 12 })
  sql = database.sql
})
afterAll(() => database.drop())
afterEach(async () => {
  await sql`truncate jobs, finished_jobs, job_attempts, job_effects, job_minutes, job_turns, job_workers`
  await sql`update job_queues set paused = false, virtual_time = 0, scan_after = ''`
})

const newOrganizations = (count: number) => Array.from({ length: count }, () => newId('org'))
const addJobs = (organizationId: string, count: number) =>
  enqueueNumbers(sql, count, { organizationId })
const claim = (wanted: number, own: Sql = sql) => claimJobs(own, 'default', wanted, TAKER)
const finish = (jobs: readonly StartedJob[], own: Sql = sql) =>
  own`select finish_jobs(${own.json(
    jobs.map(({ id, fence }) => ({ id, fence, state: 'done' })) as never,
  )})`
const limit = (
  tenant: string,
  limits: { weight?: number; runningMax?: number; ratePerMinute?: number },
) => sql`
  insert into job_turns (queue, tenant, weight, running_max, rate_per_minute)
  values ('default', ${tenant}, ${limits.weight ?? null}, ${limits.runningMax ?? null}, ${limits.ratePerMinute ?? null})`
const countsOf = (jobs: readonly StartedJob[]) => {
  const counts = new Map<string | null, number>()
  for (const { organizationId } of jobs)
    counts.set(organizationId, (counts.get(organizationId) ?? 0) + 1)
  return counts
}

test.each([1, 10, 100])(
  'shares follow the weights 1 : 2 : 5, claiming %i at a time',
  async (wanted) => {
    const organizations = newOrganizations(3)
    const weights = [1, 2, 5]
    for (const [index, organization] of organizations.entries()) {
      await limit(organization, { weight: weights[index]! })
      await addJobs(organization, 900)
    }
    const total = wanted === 1 ? 240 : 1000
    const taken: StartedJob[] = []
    while (taken.length < total) {
      const jobs = await claim(wanted)
      expect(jobs.length).toBeGreaterThan(0)
      taken.push(...jobs)
      await finish(jobs)
    }
    const counts = countsOf(taken)
    for (const [index, organization] of organizations.entries()) {
      const share = (counts.get(organization) ?? 0) / taken.length
      expect(Math.abs(share - weights[index]! / 8)).toBeLessThanOrEqual(
        (0.05 * weights[index]!) / 8 + 1 / taken.length,
      )
    }
  },
)

test.each([1, 10, 100])(
  'a newcomer behind 20,000 jobs is in the first claims of %i',
  async (wanted) => {
    const [noisy, other, newcomer] = newOrganizations(3)
    await addJobs(noisy!, 20_000)
    await addJobs(other!, 20)
    for (let round = 0; round < 5; round++) await finish(await claim(wanted))
    await addJobs(newcomer!, 2)
    const next = [...(await claim(wanted)), ...(await claim(wanted)), ...(await claim(wanted))]
    expect(countsOf(next).get(newcomer!) ?? 0).toBeGreaterThanOrEqual(1)
  },
)

test('who was idle for long is served at once, and catches up with nothing', async () => {
  const [idle, busy] = newOrganizations(2)
  await addJobs(idle!, 10)
  await addJobs(busy!, 3000)
  for (let round = 0; round < 20; round++) await finish(await claim(100))
  await addJobs(idle!, 900)
  const taken: StartedJob[] = []
  for (let round = 0; round < 4; round++) {
    const jobs = await claim(100)
    taken.push(...jobs)
    await finish(jobs)
  }
  const share = (countsOf(taken).get(idle!) ?? 0) / taken.length
  expect(share).toBeGreaterThan(0.4)
  expect(share).toBeLessThan(0.6)
})

test('300 organizations, more than one look sees, are served equally', async () => {
  const organizations = newOrganizations(300)
  for (const organization of organizations) await addJobs(organization, 20)
  const taken: StartedJob[] = []
  // Two jobs of eight organizations with each claim: five rounds of all.
  while (taken.length < 3040) {
    const jobs = await claim(16)
    expect(jobs.length).toBeGreaterThan(0)
    taken.push(...jobs)
    await finish(jobs)
  }
  const counts = countsOf(taken)
  const sorted = organizations
    .map((organization) => counts.get(organization) ?? 0)
    .sort((a, b) => a - b)
  expect(sorted[0]).toBeGreaterThan(0)
  // Those that sort last were served several times as often before.
  const last = [...organizations].sort().slice(256)
  const ofLast = last.reduce((sum, organization) => sum + (counts.get(organization) ?? 0), 0)
  expect(ofLast / taken.length).toBeLessThan((44 / 300) * 1.25)
  expect(ofLast / taken.length).toBeGreaterThan((44 / 300) * 0.75)
})

test('a cap is never exceeded, however many claim at once', async () => {
  const [capped, free] = newOrganizations(2)
  await limit(capped!, { runningMax: 3 })
  await addJobs(capped!, 120)
  await addJobs(free!, 120)
  let most = 0
  let open = true
  const { url } = database.target as { url: string }
  const watch = (async () => {
    while (open) {
      const [row] =
        await sql`select count(*)::int as n from jobs where state = 'running' and organization_id = ${capped!}`
      most = Math.max(most, row!.n)
    }
  })()
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      const own = connect({ url }, { connectionsMax: 1 })
      for (let empty = 0; empty < 20; ) {
        const jobs = await claim(5, own)
        if (jobs.length === 0) {
          empty++
          await new Promise((resolve) => setTimeout(resolve, 5))
        } else await finish(jobs, own)
      }
      await own.end()
    }),
  )
  open = false
  await watch
  expect(most).toBeLessThanOrEqual(3)
  expect(most).toBeGreaterThan(0)
  const [left] = await sql`select count(*)::int as n from jobs`
  expect(left!.n).toBe(0)
})

test('a rate holds: its minute at once, then what has trickled in', async () => {
  const [limited] = newOrganizations(1)
  await limit(limited!, { ratePerMinute: 60 })
  await addJobs(limited!, 500)
  const startedAtMs = Date.now()
  let taken = 0
  while (Date.now() - startedAtMs < 3000) {
    taken += (await claim(100)).length
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  expect(taken).toBeGreaterThanOrEqual(62)
  expect(taken).toBeLessThanOrEqual(65)
})

test('a paused queue gives nothing, and goes on where it was', async () => {
  const [organization] = newOrganizations(1)
  await addJobs(organization!, 5)
  await sql`update job_queues set paused = true where queue = 'default'`
  expect(await claim(10)).toHaveLength(0)
  expect(await sql`select * from dispatch_jobs('default', 10, 'test', 1000)`).toHaveLength(0)
  await sql`update job_queues set paused = false where queue = 'default'`
  expect(await claim(10)).toHaveLength(5)
})

test('jobs of a suspended organization wait, and run when it is active again', async () => {
  const [suspended, active] = newOrganizations(2)
  await sql.begin(async (tx) => {
    // Nobody owns them: what an organization needs besides is not asked here.
    await tx`set local session_replication_role = replica`
    await tx`insert into organizations (id, slug, name, status) values
      (${suspended!}, 'suspended', 'Suspended', 'suspended'), (${active!}, 'active', 'Active', 'active')`
  })
  await addJobs(suspended!, 5)
  await addJobs(active!, 5)
  const jobs = await claim(100)
  expect(countsOf(jobs)).toEqual(new Map([[active!, 5]]))
  await sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    await tx`update organizations set status = 'active' where id = ${suspended!}`
  })
  expect(countsOf(await claim(100))).toEqual(new Map([[suspended!, 5]]))
})
