import * as v from 'valibot'
import { Reference, Timestamp, textUpTo } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'

export const QueueWord = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9-]{0,63}$/, 'must be the name of a queue'),
)
const JobName = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9.-]{0,99}$/, 'must be the name of a kind of job'),
)

/** Where a job can stand. What is done or canceled has ended, and what was dead for too long. */
const State = v.picklist(
  ['scheduled', 'ready', 'running', 'dead', 'parked', 'done', 'canceled'],
  'must be scheduled, ready, running, done, dead, canceled or parked',
)
export type State = v.InferOutput<typeof State>

const summary = {
  id: v.string(),
  queue: v.string(),
  name: v.string(),
  nameVersion: v.number(),
  organization: v.nullable(v.string()),
  workspace: v.nullable(v.string()),
  state: v.string(),
  priority: v.number(),
  runAt: v.string(),
  actor: v.nullable(v.string()),
  permission: v.nullable(v.string()),
  dedupKey: v.nullable(v.string()),
  exclusiveKey: v.nullable(v.string()),
  attempts: v.number(),
  attemptsMax: v.number(),
  deliveries: v.number(),
  losses: v.number(),
  timeoutMs: v.number(),
  executor: v.nullable(v.string()),
  worker: v.nullable(v.string()),
  progress: v.nullable(v.unknown()),
  error: v.nullable(v.string()),
  reason: v.nullable(v.string()),
  requestId: v.nullable(v.string()),
  createdAt: v.string(),
  startedAt: v.nullable(v.string()),
  finishedAt: v.nullable(v.string()),
}

/** A job without what it carries. */
export const JobSummary = v.object(summary)
export type JobSummary = v.InferOutput<typeof JobSummary>

/** What a job carries and what it left is there for whoever may see it (`job:payload:read`). */
export const Job = v.object({
  ...summary,
  payload: v.optional(v.unknown()),
  result: v.optional(v.unknown()),
})
export type Job = v.InferOutput<typeof Job>

export const OneJob = v.object({
  job: v.pipe(v.string(), v.regex(/^job_[0-9a-z]{26}$/, 'must be the id of a job')),
})
export type OneJob = v.InferOutput<typeof OneJob>

const filter = {
  queue: v.optional(QueueWord),
  state: v.optional(State),
  name: v.optional(JobName),
}
export const ListJobs = v.strictObject({ ...filter, ...Page })
/** Operators may look at one organization; `platform` is the platform's own. */
export const ListAllJobs = v.strictObject({
  ...filter,
  organization: v.optional(Reference),
  ...Page,
})
export type ListJobs = v.InferOutput<typeof ListAllJobs>

/** One run that ended. */
export const Attempt = v.object({
  number: v.number(),
  outcome: v.string(),
  worker: v.nullable(v.string()),
  startedAt: v.nullable(v.string()),
  endedAt: v.string(),
  error: v.nullable(v.string()),
})
export type Attempt = v.InferOutput<typeof Attempt>
export const ListAttempts = v.strictObject(Page)
export type ListAttempts = OneJob & v.InferOutput<typeof ListAttempts>

/** Why a job waits: what must change first comes first. */
export const Explanation = v.object({
  state: v.string(),
  waitsFor: v.array(
    v.object({ code: v.string(), detail: v.string(), until: v.optional(v.string()) }),
  ),
  ahead: v.number(),
  organizationsWaiting: v.number(),
  expectedStartAt: v.nullable(v.string()),
  basis: v.string(),
})
export type Explanation = v.InferOutput<typeof Explanation>

const Limits = v.object({
  weight: v.number(),
  runningMax: v.nullable(v.number()),
  ratePerMinute: v.nullable(v.number()),
})
export const Usage = v.object({
  running: v.number(),
  waiting: v.number(),
  waitingMax: v.nullable(v.number()),
  slotSecondsLastDay: v.number(),
  queues: v.array(
    v.object({
      queue: v.string(),
      running: v.number(),
      waiting: v.number(),
      slotSecondsLastDay: v.number(),
      limits: v.nullable(Limits),
    }),
  ),
})
export type Usage = v.InferOutput<typeof Usage>
export const AskUsage = v.strictObject({})
export const AskAllUsage = v.strictObject({ organization: v.optional(Reference) })
export type AskUsage = v.InferOutput<typeof AskAllUsage>

const ACTIONS = ['cancel', 'retry', 'promote', 'delete'] as const
export type Action = (typeof ACTIONS)[number]

export const Bulk = v.strictObject({
  action: v.picklist(ACTIONS, 'must be cancel, retry, promote or delete'),
  filter: v.pipe(
    v.strictObject({ ...filter, organization: v.optional(Reference) }),
    v.check(
      (given) => Object.values(given).some((value) => value !== undefined),
      'must name a queue, a state, a name or an organization',
    ),
  ),
  dryRun: v.optional(v.boolean(), false),
})
export type Bulk = v.InferOutput<typeof Bulk>

export const Redrive = v.strictObject({
  queue: QueueWord,
  filter: v.optional(
    v.strictObject({ name: v.optional(JobName), organization: v.optional(Reference) }),
    {},
  ),
})
export type Redrive = v.InferOutput<typeof Redrive>

export const Changed = v.object({ matched: v.number(), changed: v.number() })

const States = v.object({
  scheduled: v.number(),
  ready: v.number(),
  running: v.number(),
  dead: v.number(),
  parked: v.number(),
})
export type States = v.InferOutput<typeof States>

export const Queue = v.object({
  queue: v.string(),
  paused: v.boolean(),
  slotsMin: v.number(),
  slotsMax: v.number(),
  slots: v.number(),
  workers: v.number(),
  states: States,
  oldestWaitingSeconds: v.nullable(v.number()),
  startsPerSecond: v.number(),
  version: v.number(),
  updatedAt: v.string(),
})
export type Queue = v.InferOutput<typeof Queue>
export const OneQueue = v.object({ queue: QueueWord })
export type OneQueue = v.InferOutput<typeof OneQueue>

const slots = (min: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(1000))
export const PatchQueue = v.strictObject({
  slotsMin: v.optional(slots(0)),
  slotsMax: v.optional(slots(1)),
})
export type PatchQueue = OneQueue & v.InferOutput<typeof PatchQueue>

export const Drained = v.object({ ...Queue.entries, withdrawn: v.number() })

export const Stats = v.object({
  queue: v.string(),
  states: States,
  oldestWaitingSeconds: v.nullable(v.number()),
  startsPerSecond: v.number(),
  ended: v.object({
    done: v.number(),
    failed: v.number(),
    died: v.number(),
    canceled: v.number(),
  }),
  waitMs: v.object({
    mean: v.nullable(v.number()),
    p50: v.nullable(v.number()),
    p95: v.nullable(v.number()),
  }),
  runMs: v.object({
    mean: v.nullable(v.number()),
    p50: v.nullable(v.number()),
    p95: v.nullable(v.number()),
  }),
})
export type Stats = v.InferOutput<typeof Stats>

/** Points a series may have. */
export const POINTS_MAX = 1000
export const AskSeries = v.strictObject({
  queue: v.optional(QueueWord),
  from: v.optional(Timestamp),
  to: v.optional(Timestamp),
  step: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{2,7}$/, 'must be a whole number of seconds, 60 or more'),
      v.transform(Number),
      v.minValue(60),
    ),
    '60',
  ),
})
export type AskSeries = v.InferOutput<typeof AskSeries>
export const Series = v.object({
  from: v.string(),
  to: v.string(),
  step: v.number(),
  points: v.array(
    v.object({
      at: v.string(),
      added: v.number(),
      started: v.number(),
      done: v.number(),
      failed: v.number(),
      died: v.number(),
      canceled: v.number(),
      waitMs: v.nullable(v.number()),
      runMs: v.nullable(v.number()),
    }),
  ),
})
export type Series = v.InferOutput<typeof Series>

export const Worker = v.object({
  id: v.string(),
  runtime: v.string(),
  version: v.string(),
  queues: v.record(v.string(), v.object({ slots: v.number(), running: v.number() })),
  alive: v.boolean(),
  startedAt: v.string(),
  seenAt: v.string(),
})
export type Worker = v.InferOutput<typeof Worker>
export const ListWorkers = v.strictObject(Page)
export type ListWorkers = v.InferOutput<typeof ListWorkers>

export const Reconciliation = v.object({
  added: v.number(),
  done: v.number(),
  canceled: v.number(),
  buried: v.number(),
  deleted: v.number(),
  present: States,
  difference: v.number(),
})
export type Reconciliation = v.InferOutput<typeof Reconciliation>

const whole = (max: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max))
export const OneOrganization = v.object({ organization: Reference })
/** What is left out has no limit; a weight left out is 1. */
export const PutLimits = v.strictObject({
  queue: v.optional(QueueWord),
  weight: v.optional(v.nullable(whole(1000)), null),
  runningMax: v.optional(v.nullable(whole(1000)), null),
  ratePerMinute: v.optional(v.nullable(whole(1_000_000)), null),
})
export type PutLimits = { organization: string } & v.InferOutput<typeof PutLimits>
export const OrganizationLimits = v.object({
  organization: v.string(),
  queues: v.array(v.object({ queue: v.string(), ...Limits.entries })),
})

export const ScheduleName = v.pipe(
  v.string(),
  v.regex(/^[a-z][a-z0-9.-]{0,99}$/, 'must be the name of a schedule'),
)
const schedule = {
  name: v.string(),
  queue: v.string(),
  job: v.string(),
  cron: v.string(),
  zone: v.string(),
  misfire: v.picklist(['skip', 'once', 'all']),
  enabled: v.boolean(),
  builtIn: v.boolean(),
  nextSlots: v.array(v.string()),
  version: v.number(),
  createdAt: v.string(),
  updatedAt: v.string(),
}
export const Schedule = v.object({ ...schedule, payload: v.optional(v.unknown()) })
export type Schedule = v.InferOutput<typeof Schedule>
export const ListSchedules = v.strictObject(Page)
export type ListSchedules = v.InferOutput<typeof ListSchedules>
export const OneSchedule = v.object({ schedule: ScheduleName })
export type OneSchedule = v.InferOutput<typeof OneSchedule>

/** Of a schedule the server brought along only time, zone, misfire and `enabled` can be another. */
export const PutSchedule = v.strictObject({
  job: v.optional(JobName),
  queue: v.optional(QueueWord),
  cron: textUpTo(200),
  zone: v.optional(textUpTo(100), 'UTC'),
  payload: v.optional(v.record(v.string(), v.unknown())),
  misfire: v.optional(v.picklist(['skip', 'once', 'all'], 'must be skip, once or all'), 'once'),
  enabled: v.optional(v.boolean(), true),
})
export type PutSchedule = OneSchedule & v.InferOutput<typeof PutSchedule>
