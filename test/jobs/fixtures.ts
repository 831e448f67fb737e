import { newId } from '../../src/platform/id.ts'
import type { EnqueueOptions } from '../../src/platform/jobs/enqueue.ts'
import type { QueueName } from '../../src/platform/jobs/queue.ts'
import { enqueueNumbers } from '../support/jobs.ts'
import type { TestServer } from '../support/server.ts'

type Given = EnqueueOptions & { queue?: QueueName; how?: string }

/** What the tests of this folder need to bring jobs about. */
export const jobsOf = ({ sql }: Pick<TestServer, 'sql'>) => {
  const add = async (given: Given = {}): Promise<string> =>
    (await enqueueNumbers(sql, 1, given))[0]!
  /** Starts the next job of a queue, as a worker does. */
  const claim = async (queue: QueueName = 'default', wanted = 1) =>
    sql<{ id: string; fence: number }[]>`
      select id, fence from claim_jobs(${queue}, ${wanted}, 'wrk_test', 'embedded', 30000)`
  /** A job that runs; it is the only one that was ready in its queue. */
  const addRunning = async (given: Given = {}) => {
    const id = await add(given)
    await sql`select * from start_jobs(${sql.json([{ id }])}, 'wrk_test', 'embedded', 30000)`
    return id
  }
  const end = async (id: string, over: object) => {
    const [row] = await sql<{ fence: number }[]>`select fence from jobs where id = ${id}`
    const given = { id, fence: row!.fence, ...over }
    return 'result' in over
      ? sql`select finish_jobs(${sql.json([given] as never)})`
      : sql`select put_back_jobs(${sql.json([given] as never)})`
  }
  const dead = { state: 'dead', outcome: 'failed', delay_ms: 0, error: 'it broke' }
  return {
    add,
    claim,
    addRunning,
    addDead: async (given: Given = {}) => {
      const id = await addRunning(given)
      await end(id, dead)
      return id
    },
    addParked: async (given: Given = {}) => {
      const id = await addRunning(given)
      await end(id, { state: 'parked', outcome: 'released', delay_ms: 0, error: 'unknown here' })
      return id
    },
    addBackingOff: async (given: Given = {}) => {
      const id = await addRunning(given)
      await end(id, { state: 'ready', outcome: 'failed', delay_ms: 60_000, error: 'it broke' })
      return id
    },
    addDone: async (given: Given = {}) => {
      const id = await addRunning(given)
      await end(id, { state: 'done', result: { sum: 1 } })
      return id
    },
    /** A live worker, as far as the database knows. */
    addWorker: async (queues: object = { default: { slots: 2, running: 0 } }) => {
      const id = newId('wrk')
      await sql`insert into job_workers (id, runtime, version, started_at, queues)
        values (${id}, 'node', '0.0.0-test', now(), ${sql.json(queues as never)})`
      return id
    },
    clear: () =>
      sql`truncate jobs, finished_jobs, job_attempts, job_effects, job_minutes, job_turns, job_workers, job_schedules, job_slots`,
  }
}
