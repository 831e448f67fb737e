import { Cron } from 'croner'
import type { Sql, Transaction } from '../db/connect.ts'
import type { Log } from '../log.ts'
import { enqueue } from './enqueue.ts'
import type { JobHandler } from './handler.ts'
import type { NewJob } from './job-type.ts'
import { dropLease, takeLease } from './lease.ts'
import type { QueueName } from './queue.ts'

/** What to do with times that passed while nobody was there: none of them, the last one, or each. */
export type Misfire = 'skip' | 'once' | 'all'

/** A schedule the server brings along; operators may change its time and turn it off. */
export type BuiltInSchedule = {
  name: string
  /** Five or six fields (crontab(5), with seconds first if there are six). */
  cron: string
  queue: QueueName
  job: NewJob
  misfire?: Misfire
}

type ScheduleRow = {
  name: string
  queue: QueueName
  job: string
  cron: string
  zone: string
  payload: object
  misfire: Misfire
  seenUntil: string
  now: string
}

/** Milliseconds after which a time counts as missed. */
const LATE_MS = 60_000
/** Missed times that are caught up with at once. */
const SLOTS_MAX = 100
const TICK_MS_MAX = 5000

/** The times of a schedule after one moment and up to another, at most a hundred: the last ones. */
export const slotsBetween = (
  { cron, zone }: { cron: string; zone: string },
  after: Date,
  until: Date,
): Date[] => {
  const pattern = new Cron(cron, { timezone: zone })
  const slots: Date[] = []
  let last = after
  for (let looked = 0; looked < 10_000; looked++) {
    const next = pattern.nextRun(last)
    if (!next || next > until) break
    slots.push(next)
    last = next
  }
  return slots.slice(-SLOTS_MAX)
}

/** Which of the passed times still get their job. */
export const slotsToRun = (slots: readonly Date[], misfire: Misfire, now: Date): Date[] => {
  if (misfire === 'all') return [...slots]
  const onTime = slots.filter((slot) => now.getTime() - slot.getTime() <= LATE_MS)
  return misfire === 'once' && onTime.length === 0 ? slots.slice(-1) : onTime
}

/** What is wrong with a cron pattern or a zone; nothing when both can be used. */
export const faultOfCron = (cron: string, zone: string): string | undefined => {
  try {
    if (!new Cron(cron, { timezone: zone }).nextRun()) return 'never comes'
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^[A-Za-z]+: /, '') : 'cannot be read'
  }
}

/** The next times of a schedule. */
export const nextSlots = (cron: string, zone: string, count: number): string[] =>
  new Cron(cron, { timezone: zone }).nextRuns(count).map((slot) => slot.toISOString())

const asPlatform = <Result>(sql: Sql, work: (tx: Transaction) => Promise<Result>) =>
  sql.begin(async (tx) => {
    await tx`select set_config('role', 'latchkey_platform', true)`
    return work(tx)
  }) as Promise<Result>

/** Writes down the built-in schedules that are not there yet; what operators changed stays. */
export const installSchedules = (sql: Sql, schedules: readonly BuiltInSchedule[]) =>
  asPlatform(sql, async (tx) => {
    for (const { name, cron, queue, job, misfire = 'once' } of schedules)
      await tx`insert into job_schedules (name, queue, job, cron, payload, misfire, built_in)
        values (${name}, ${queue}, ${job.name}, ${cron}, ${tx.json(job.payload as never)}, ${misfire}, true)
        on conflict (name) do nothing`
  })

type SchedulerOptions = {
  sql: Sql
  log: Log
  holder: string
  handlers: ReadonlyMap<string, JobHandler>
  wake: (queues: QueueName[]) => void
}

/**
 * Makes the jobs of schedules whose time has come. One process leads (a lease); that a time gets one job is kept by the row
 * (schedule, slot), whoever leads. The clock is the database's.
 * @returns milliseconds until the next time, at most five seconds
 */
export const runSchedules = async ({ sql, log, holder, handlers, wake }: SchedulerOptions) => {
  if ((await takeLease(sql, 'schedules', holder)) === undefined) return TICK_MS_MAX
  const schedules = await sql<ScheduleRow[]>`
    select name, queue, job, cron, zone, payload, misfire, seen_until, clock_timestamp() as now
    from job_schedules where enabled`
  let waitMs = TICK_MS_MAX
  for (const schedule of schedules) {
    const now = new Date(schedule.now)
    const slots = slotsBetween(schedule, new Date(schedule.seenUntil), now)
    const handler = handlers.get(schedule.job)
    if (!handler)
      log.warn(
        { schedule: schedule.name, job: schedule.job },
        'no worker here knows the job of a schedule',
      )
    else if (slots.length > 0) await runSlots(sql, { schedule, slots, now, handler, wake })
    const next = new Cron(schedule.cron, { timezone: schedule.zone }).nextRun(now)
    if (next) waitMs = Math.min(waitMs, next.getTime() - now.getTime())
  }
  return Math.max(20, waitMs)
}

type Due = {
  schedule: ScheduleRow
  slots: Date[]
  now: Date
  handler: JobHandler
  wake: (queues: QueueName[]) => void
}

const runSlots = async (sql: Sql, { schedule, slots, now, handler, wake }: Due) => {
  const { name, queue, payload } = schedule
  await asPlatform(sql, async (tx) => {
    for (const slot of slotsToRun(slots, schedule.misfire, now)) {
      const [taken] = await tx`
        insert into job_slots (schedule, slot) values (${name}, ${slot.toISOString()}) on conflict do nothing returning 1 as taken`
      if (!taken) continue
      const job = { name: handler.type.jobName, version: handler.type.version, payload }
      const { id } = await enqueue(tx, queue, job, { exclusiveKey: name })
      await tx`update job_slots set job_id = ${id} where schedule = ${name} and slot = ${slot.toISOString()}`
    }
    await tx`update job_schedules set seen_until = ${slots.at(-1)!.toISOString()}
      where name = ${name} and seen_until < ${slots.at(-1)!.toISOString()}`
  })
  wake([queue])
}

/** Runs schedules until stopped. */
export const startScheduler = (options: SchedulerOptions) => {
  let timer: ReturnType<typeof setTimeout>
  let stopped = false
  let ticking: Promise<void> = Promise.resolve()
  const tick = async () => {
    const waitMs = await runSchedules(options).catch((error: unknown) => {
      options.log.debug({ err: error }, 'schedules wait for the database')
      return 1000
    })
    if (!stopped)
      timer = setTimeout(() => {
        ticking = tick()
      }, waitMs)
  }
  ticking = tick()
  return {
    stop: async () => {
      stopped = true
      await ticking
      clearTimeout(timer)
      await dropLease(options.sql, 'schedules', options.holder).catch(() => {})
    },
  }
}
