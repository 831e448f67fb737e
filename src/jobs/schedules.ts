import * as v from 'valibot'
import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import { enqueue } from '../platform/jobs/enqueue.ts'
import type { JobHandler } from '../platform/jobs/handler.ts'
import { QUEUES, type QueueName } from '../platform/jobs/queue.ts'
import { faultOfCron, nextSlots } from '../platform/jobs/schedule.ts'
import { didYouMean } from '../platform/nearest.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { faultsOf } from '../platform/parse.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { findJob } from './repository.ts'
import type { NewSchedule, ScheduleRow } from './schedule-repository.ts'
import * as repository from './schedule-repository.ts'
import type { ListSchedules, OneSchedule, PutSchedule, Schedule } from './schema.ts'

/** What every kind of job does, by its name. */
export type Handlers = ReadonlyMap<string, JobHandler>

/** Coming times that are shown. */
const NEXT = 5

const notFound = () => new Problem('not-found', 'schedule-not-found', 'There is no such schedule.')

const shown = ({ payload: _, ...row }: ScheduleRow): Schedule => ({
  ...row,
  nextSlots: row.enabled ? nextSlots(row.cron, row.zone, NEXT) : [],
})

export const listSchedules = ({ sql }: Context, { limit, cursor }: ListSchedules) =>
  inPlatform(sql, async (tx) => {
    const rows = await repository.listSchedules(tx, { after: positionOf(cursor), limit: limit + 1 })
    return toPage(rows.map(shown), limit, ({ name }) => name)
  })

/** A schedule; what its jobs carry only for those who may see that. */
export const getSchedule = async (
  context: Context,
  { schedule }: OneSchedule,
): Promise<Schedule> => {
  const platform = { organizationId: null }
  const maySeePayload = await context.access.permits(context, 'job:payload:read', platform)
  const row = await inPlatform(context.sql, (tx) => repository.findSchedule(tx, schedule))
  if (!row) throw notFound()
  return maySeePayload ? { ...shown(row), payload: row.payload } : shown(row)
}

const isZone = (zone: string) => {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }))
  } catch {
    return false
  }
}

const refuseTime = ({ cron, zone }: { cron: string; zone: string }) => {
  if (!isZone(zone)) throw unprocessable('zone-unknown', '/zone', 'is no time zone')
  const fault = faultOfCron(cron, zone)
  if (fault !== undefined) throw unprocessable('cron-invalid', '/cron', fault)
}

const refusePayload = ({ type }: JobHandler, payload: object) => {
  const parsed = v.safeParse(type.payload, payload)
  if (parsed.success) return
  const errors = faultsOf(parsed.issues).map(({ pointer, detail }) => ({
    pointer: `/payload${pointer}`,
    detail,
  }))
  const detail = `${errors[0]?.pointer} ${errors[0]?.detail}.`
  throw new Problem('unprocessable', 'payload-invalid', detail, { errors })
}

const handlerOf = (handlers: Handlers, job: string | undefined): JobHandler => {
  if (job === undefined) throw unprocessable('job-needed', '/job', 'is required')
  const handler = handlers.get(job)
  if (handler) return handler
  const near = didYouMean(job, handlers.keys())
  throw unprocessable('job-unknown', '/job', `No server here knows such a job.${near}`)
}

const queueOf = (queue: string): QueueName => {
  if ((QUEUES as readonly string[]).includes(queue)) return queue as QueueName
  throw unprocessable(
    'queue-unknown',
    '/queue',
    `There is no such queue.${didYouMean(queue, QUEUES)}`,
  )
}

/** What came with the server does what it does, at whatever time. */
const refuseOther = (before: ScheduleRow, given: PutSchedule) => {
  for (const member of ['job', 'queue'] as const)
    if (given[member] !== undefined && given[member] !== before[member])
      throw unprocessable(
        'schedule-built-in',
        `/${member}`,
        'cannot be changed: it came with the server',
      )
  if (given.payload && JSON.stringify(given.payload) !== JSON.stringify(before.payload))
    throw unprocessable(
      'schedule-built-in',
      '/payload',
      'cannot be changed: it came with the server',
    )
}

const wanted = (handlers: Handlers, given: PutSchedule): NewSchedule => {
  const handler = handlerOf(handlers, given.job)
  const payload = given.payload ?? {}
  refusePayload(handler, payload)
  return {
    name: given.schedule,
    job: handler.type.jobName,
    queue: given.queue === undefined ? handler.type.queue : queueOf(given.queue),
    payload,
    cron: given.cron,
    zone: given.zone,
    misfire: given.misfire,
    enabled: given.enabled,
  }
}

/** Writes a schedule, new or not. */
export const putSchedule = (context: Context, handlers: Handlers, given: PutSchedule) =>
  changePlatform(context, async (tx) => {
    const before = await repository.findSchedule(tx, given.schedule)
    refuseStale(context, before?.version)
    refuseTime(given)
    if (before?.builtIn) refuseOther(before, given)
    const { job, queue, payload } = before?.builtIn ? before : wanted(handlers, given)
    const { cron, zone, misfire, enabled, schedule: name } = given
    const row = { name, job, queue, payload, cron, zone, misfire, enabled }
    const after = shown(await repository.upsertSchedule(tx, row))
    await recordChange(tx, context, {
      event: before ? 'schedule.updated' : 'schedule.created',
      resource: `schedule:${name}`,
      before: before && shown(before),
      after,
    })
    return after
  })

/** Ends a schedule; what came with the server can be turned off only. */
export const deleteSchedule = (context: Context, { schedule }: OneSchedule) =>
  changePlatform(context, async (tx) => {
    const before = await repository.findSchedule(tx, schedule)
    if (!before) throw notFound()
    refuseStale(context, before.version)
    if (before.builtIn)
      throw new Problem(
        'conflict',
        'schedule-built-in',
        'It came with the server; turn it off with "enabled": false.',
      )
    await repository.deleteSchedule(tx, schedule)
    const resource = `schedule:${schedule}`
    await recordChange(tx, context, { event: 'schedule.deleted', resource, before: shown(before) })
  })

/** Makes a schedule's job now, whatever the time and whether it is turned on. */
export const runSchedule = (context: Context, handlers: Handlers, { schedule }: OneSchedule) =>
  changePlatform(context, async (tx) => {
    const row = await repository.findSchedule(tx, schedule)
    if (!row) throw notFound()
    const { type } = handlerOf(handlers, row.job)
    const job = { name: type.jobName, version: type.version, payload: row.payload }
    const options = { exclusiveKey: schedule, requestId: context.requestId }
    const { id } = await enqueue(tx, row.queue, job, options)
    const { payload: _, result: __, ...made } = (await findJob(tx, undefined, id))!
    const resource = `schedule:${schedule}`
    await recordChange(tx, context, { event: 'schedule.triggered', resource, after: made })
    return made
  })
