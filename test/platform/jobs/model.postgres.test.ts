import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Sql } from '../../../src/platform/db/connect.ts'
import { newId } from '../../../src/platform/id.ts'
import { enqueue } from '../../../src/platform/jobs/enqueue.ts'
import type { Message } from '../../../src/platform/jobs/executor.ts'
import {
  beginSuspect,
  claimJobs,
  dispatchJobs,
  keepJobs,
  startJobs,
  sweepJobs,
} from '../../../src/platform/jobs/repository.ts'
import { openTestDatabase, type TestDatabase } from '../../support/database.ts'
import { booksOf, testJob } from '../../support/jobs.ts'

// Random sequences against a model of what a queue promises: each job is in exactly one state, its fence only rises,
// whoever holds an old fence changes nothing, keys are unique, limits hold, and the books add up.
const ORGANIZATIONS = [newId('org'), newId('org'), null]
/** The first organization may have so many running. */
const RUNNING_MAX = 1
const LOSSES_MAX = 3
const RUNS = Number(process.env.LATCHKEY_MODEL_RUNS ?? 100)
const TAKER = { worker: 'wrk_model', executor: 'embedded' }

type State = 'scheduled' | 'ready' | 'running' | 'dead' | 'parked' | 'done' | 'canceled'
type Modeled = {
  state: State
  fence: number
  organization: string | null
  dedup: string | undefined
  exclusive: string | undefined
  dispatched: boolean
  losses: number
  begunFence: number
}
type World = {
  sql: Sql
  jobs: Map<string, Modeled>
  /** All that anybody ever held: also what is not theirs any more. */
  held: Message[]
  /** All that any executor was ever told. */
  told: Message[]
}
type Step = (world: World) => Promise<void>

const at = <Value>(values: readonly Value[], index: number): Value | undefined =>
  values[index % Math.max(1, values.length)]
const isHeld = ({ jobs }: World, { id, fence }: Message) => {
  const job = jobs.get(id)
  return job?.state === 'running' && job.fence === fence
}

/** Takes over what was started, and refuses what must not have been. */
const started = (world: World, rows: readonly Message[]) => {
  for (const { id, fence } of rows) {
    const job = world.jobs.get(id)!
    expect([job.state, fence]).toEqual(['ready', job.fence + 1])
    Object.assign(job, { state: 'running', fence, dispatched: false })
    world.held.push({ id, fence })
  }
}

type Choice = {
  organization: number
  dedup: number
  exclusive: number
  priority: number
  late: boolean
}
const add =
  ({ organization, dedup, exclusive, priority, late }: Choice): Step =>
  async ({ sql, jobs }) => {
    const organizationId = ORGANIZATIONS[organization]!
    const dedupKey = dedup < 3 ? `dedup-${dedup}` : undefined
    const exclusiveKey = exclusive < 2 ? `exclusive-${exclusive}` : undefined
    const twin = [...jobs].find(
      ([, job]) =>
        dedupKey !== undefined &&
        job.dedup === dedupKey &&
        job.organization === organizationId &&
        !['dead', 'done', 'canceled'].includes(job.state),
    )
    const { id, isNew } = await enqueue(sql, 'default', testJob({ n: 1 }), {
      organizationId,
      priority,
      ...(dedupKey && { dedupKey }),
      ...(exclusiveKey && { exclusiveKey }),
      ...(late && { runAt: new Date(Date.now() + 3_600_000) }),
    })
    expect(isNew).toBe(twin === undefined)
    if (twin) return expect(id).toBe(twin[0])
    jobs.set(id, {
      ...{ state: late ? 'scheduled' : 'ready', fence: 0, dispatched: false, losses: 0 },
      ...{ organization: organizationId, dedup: dedupKey, exclusive: exclusiveKey, begunFence: 0 },
    })
  }

const claim =
  (wanted: number): Step =>
  async (world) => {
    const rows = await claimJobs(world.sql, 'default', wanted, TAKER)
    expect(rows.length).toBeLessThanOrEqual(wanted)
    for (const { id } of rows) expect(world.jobs.get(id)!.dispatched).toBe(false)
    started(world, rows)
  }

const dispatch =
  (ahead: number): Step =>
  async (world) => {
    const messages = await dispatchJobs(world.sql, 'default', ahead, 'model', 3_600_000)
    for (const { id, fence } of messages) {
      const job = world.jobs.get(id)!
      expect([job.state, job.fence, job.dispatched]).toEqual(['ready', fence, false])
      job.dispatched = true
    }
    world.told.push(...messages.map(({ id, fence }) => ({ id, fence })))
  }
const forgetMessages: Step = async ({ sql, jobs }) => {
  await sql`update jobs set dispatched_until = now() - interval '1 second' where dispatched_until is not null`
  for (const job of jobs.values()) job.dispatched = false
}
const deliver =
  (index: number): Step =>
  async (world) => {
    const message = at(world.told, index)
    if (!message) return
    const job = world.jobs.get(message.id)!
    const counts = job.state === 'ready' && job.fence === message.fence
    const rows = await startJobs(world.sql, [message, message], TAKER)
    expect(rows.map(({ id }) => id)).toEqual(counts ? [message.id] : [])
    started(world, rows)
  }

const finish =
  (index: number, state: 'done' | 'canceled'): Step =>
  async (world) => {
    const message = at(world.held, index)
    if (!message) return
    const ours = isHeld(world, message)
    const rows =
      await world.sql`select * from finish_jobs(${world.sql.json([{ ...message, state }])})`
    expect(rows).toHaveLength(ours ? 1 : 0)
    if (ours) world.jobs.get(message.id)!.state = state
  }

const PUT_BACK = {
  'failed at once': { state: 'ready', outcome: 'failed', delay_ms: 0 },
  'failed for later': { state: 'ready', outcome: 'failed', delay_ms: 3_600_000 },
  dead: { state: 'dead', outcome: 'failed', delay_ms: 0 },
  postponed: { state: 'ready', outcome: 'postponed', delay_ms: 3_600_000 },
  released: { state: 'ready', outcome: 'released', delay_ms: 0 },
  parked: { state: 'parked', outcome: 'released', delay_ms: 0 },
} as const
const putBack =
  (index: number, how: keyof typeof PUT_BACK): Step =>
  async (world) => {
    const message = at(world.held, index)
    if (!message) return
    const ours = isHeld(world, message)
    const { sql } = world
    const given = { ...message, ...PUT_BACK[how], error: how }
    expect(await sql`select * from put_back_jobs(${sql.json([given])})`).toHaveLength(ours ? 1 : 0)
    if (ours)
      world.jobs.get(message.id)!.state =
        given.state === 'ready' && given.delay_ms > 0 ? 'scheduled' : given.state
  }

const keep =
  (index: number): Step =>
  async (world) => {
    const message = at(world.held, index)
    if (!message) return
    const kept = await keepJobs(world.sql, [message])
    expect([...kept]).toEqual(isHeld(world, message) ? [message.id] : [])
  }
const begin =
  (index: number): Step =>
  async (world) => {
    const message = at(world.held, index)
    if (!message) return
    const ours = isHeld(world, message)
    expect(await beginSuspect(world.sql, message)).toHaveLength(ours ? 1 : 0)
    if (ours) world.jobs.get(message.id)!.begunFence = message.fence
  }
/** Its worker is never heard of again. */
const crash =
  (index: number): Step =>
  async (world) => {
    const message = at(world.held, index)
    if (!message || !isHeld(world, message)) return
    const { sql } = world
    await sql`update jobs set lease_until = now() - interval '1 second' where id = ${message.id}`
    expect(await sweepJobs(sql)).toBe(1)
    const job = world.jobs.get(message.id)!
    const counted = job.losses === 0 || job.begunFence === job.fence
    if (counted) job.losses++
    const [row] = await sql`select state from jobs where id = ${message.id}`
    if (counted && job.losses >= LOSSES_MAX) job.state = 'dead'
    else if (counted && job.losses > 1) {
      // After a while of chance, which may be none.
      expect(['ready', 'scheduled']).toContain(row!.state)
      await sql`update jobs set state = 'ready' where id = ${message.id}`
      job.state = 'ready'
    } else job.state = 'ready'
  }

const cancel =
  (index: number): Step =>
  async (world) => {
    const [id, job] = at([...world.jobs], index) ?? []
    if (!id || !job) return
    const ended = job.state === 'done' || job.state === 'canceled'
    const { sql } = world
    expect(await sql`select * from cancel_jobs(${[id]}, 'model')`).toHaveLength(ended ? 0 : 1)
    if (!ended) job.state = 'canceled'
  }
const retry =
  (index: number): Step =>
  async (world) => {
    const [id, job] = at([...world.jobs], index) ?? []
    if (!id || !job) return
    const hasTwin = [...world.jobs.values()].some(
      (other) =>
        other !== job &&
        job.dedup !== undefined &&
        other.dedup === job.dedup &&
        other.organization === job.organization &&
        !['dead', 'done', 'canceled'].includes(other.state),
    )
    const may = job.state === 'parked' || (job.state === 'dead' && !hasTwin)
    const rows = await world.sql`select * from redrive_jobs(${[id]})`
    expect(rows).toHaveLength(may ? 1 : 0)
    if (may) Object.assign(job, { state: 'ready', losses: 0, dispatched: false })
  }

/** What the database says, compared with the model after each step. */
const compare = async ({ sql, jobs }: World) => {
  const rows = await sql<{ id: string; state: State; fence: number }[]>`
    select id, state, fence from jobs union all select id, state, fence from finished_jobs order by id`
  const expected = [...jobs].map(([id, { state, fence }]) => ({ id, state, fence }))
  expect(rows.map((row) => ({ ...row }))).toEqual(expected.sort((a, b) => (a.id < b.id ? -1 : 1)))
  const [limits] = await sql<{ capped: number; exclusive: number }[]>`
    select count(*) filter (where organization_id = ${ORGANIZATIONS[0]!})::int as capped,
      (count(exclusive_key) - count(distinct exclusive_key))::int as exclusive
    from jobs where state = 'running'`
  expect(limits!.capped).toBeLessThanOrEqual(RUNNING_MAX)
  expect(limits!.exclusive).toBe(0)
}

const settle = async ({ sql, jobs }: World) => {
  const { added, done, canceled, buried, deleted, present } = await booksOf(sql)
  expect(added - done - canceled - buried - deleted).toBe(present)
  const count = (state: State) => [...jobs.values()].filter((job) => job.state === state).length
  expect([added, done, canceled]).toEqual([jobs.size, count('done'), count('canceled')])
}

const index = fc.nat({ max: 1000 })
const step: fc.Arbitrary<[string, Step]> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({
        organization: fc.constantFrom(0, 0, 1, 2),
        dedup: fc.nat({ max: 8 }),
        exclusive: fc.nat({ max: 5 }),
        priority: fc.nat({ max: 9 }),
        late: fc.boolean(),
      })
      .map((choice): [string, Step] => [`add ${JSON.stringify(choice)}`, add(choice)]),
  },
  {
    weight: 4,
    arbitrary: fc.integer({ min: 1, max: 8 }).map((n): [string, Step] => [`claim ${n}`, claim(n)]),
  },
  {
    weight: 3,
    arbitrary: fc
      .integer({ min: 1, max: 8 })
      .map((n): [string, Step] => [`dispatch ${n}`, dispatch(n)]),
  },
  { weight: 3, arbitrary: index.map((n): [string, Step] => [`deliver ${n}`, deliver(n)]) },
  { weight: 1, arbitrary: fc.constant<[string, Step]>(['forget messages', forgetMessages]) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(index, fc.constantFrom('done' as const, 'canceled' as const))
      .map(([n, state]): [string, Step] => [`finish ${n} ${state}`, finish(n, state)]),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(index, fc.constantFrom(...(Object.keys(PUT_BACK) as (keyof typeof PUT_BACK)[])))
      .map(([n, how]): [string, Step] => [`put back ${n} ${how}`, putBack(n, how)]),
  },
  { weight: 3, arbitrary: index.map((n): [string, Step] => [`keep ${n}`, keep(n)]) },
  { weight: 2, arbitrary: index.map((n): [string, Step] => [`begin ${n}`, begin(n)]) },
  { weight: 3, arbitrary: index.map((n): [string, Step] => [`crash ${n}`, crash(n)]) },
  { weight: 1, arbitrary: index.map((n): [string, Step] => [`cancel ${n}`, cancel(n)]) },
  { weight: 2, arbitrary: index.map((n): [string, Step] => [`retry ${n}`, retry(n)]) },
)

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.drop())

test('whatever is done in whatever order, a queue keeps its promises', async () => {
  const { sql } = database
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      await sql`truncate jobs, finished_jobs, job_attempts, job_effects, job_minutes, job_turns`
      await sql`update job_queues set virtual_time = 0, scan_after = ''`
      await sql`insert into job_turns (queue, tenant, running_max) values ('default', ${ORGANIZATIONS[0]!}, ${RUNNING_MAX})`
      const world: World = { sql, jobs: new Map(), held: [], told: [] }
      for (const [what, take] of steps) {
        try {
          await take(world)
          await compare(world)
        } catch (error) {
          throw new Error(`after "${what}": ${error}`)
        }
      }
      await settle(world)
    }),
    { numRuns: RUNS },
  )
})
