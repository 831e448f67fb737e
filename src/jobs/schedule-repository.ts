import type { Queryable } from '../platform/db/connect.ts'
import type { QueueName } from '../platform/jobs/queue.ts'
import type { Schedule } from './schema.ts'

export type ScheduleRow = Omit<Schedule, 'nextSlots' | 'payload' | 'queue'> & {
  queue: QueueName
  payload: object
}

const COLUMNS = [
  ...['name', 'queue', 'job', 'cron', 'zone', 'payload', 'misfire', 'enabled', 'builtIn'],
  ...['version', 'createdAt', 'updatedAt'],
]

export const listSchedules = (tx: Queryable, { after, limit }: { after: string; limit: number }) =>
  tx<ScheduleRow[]>`
  select ${tx(COLUMNS)} from job_schedules where name > ${after} order by name limit ${limit}`

export const findSchedule = async (tx: Queryable, name: string) => {
  const [found] = await tx<ScheduleRow[]>`
    select ${tx(COLUMNS)} from job_schedules where name = ${name}`
  return found
}

export type NewSchedule = Pick<
  ScheduleRow,
  'name' | 'queue' | 'job' | 'cron' | 'zone' | 'payload' | 'misfire' | 'enabled'
>

/** Writes a schedule. With another time, or turned on again, it begins now: nothing that passed is caught up with. */
export const upsertSchedule = async (tx: Queryable, schedule: NewSchedule) => {
  const [written] = await tx<ScheduleRow[]>`
    insert into job_schedules ${tx({ ...schedule, payload: tx.json(schedule.payload as never) } as never)}
    on conflict (name) do update set queue = excluded.queue, job = excluded.job, cron = excluded.cron,
      zone = excluded.zone, payload = excluded.payload, misfire = excluded.misfire, enabled = excluded.enabled,
      seen_until = case when (job_schedules.cron, job_schedules.zone, job_schedules.enabled)
        = (excluded.cron, excluded.zone, excluded.enabled) then job_schedules.seen_until else clock_timestamp() end,
      version = job_schedules.version + 1, updated_at = now()
    returning ${tx(COLUMNS)}`
  return written!
}

export const deleteSchedule = (tx: Queryable, name: string) =>
  tx`delete from job_schedules where name = ${name}`
