import type { Explanation } from './schema.ts'
import type { Situation } from './situation.ts'

type Cause = Explanation['waitsFor'][number]

const seconds = (ms: number) => `${Math.max(0, Math.round(ms / 100) / 10)} s`
const after = (from: string, ms: number) => new Date(Date.parse(from) + ms).toISOString()

const ofTime = (s: Situation): Cause | undefined => {
  if (s.state !== 'scheduled') return undefined
  const wait = seconds(Date.parse(s.runAt) - Date.parse(s.now))
  if (s.deliveries === 0)
    return { code: 'scheduled', detail: `its time comes in ${wait}`, until: s.runAt }
  const last = s.error ? `: ${s.error}` : ''
  const detail = `${s.attempts} of ${s.attemptsMax} attempts failed, the next is in ${wait}${last}`
  return { code: 'backing-off', detail, until: s.runAt }
}

const ofQueue = ({ paused, queue }: Situation): Cause | undefined =>
  paused ? { code: 'queue-paused', detail: `the queue ${queue} is paused` } : undefined

const ofOrganization = ({ organizationId, organizationStatus }: Situation): Cause | undefined =>
  organizationId === null || ['active', 'read_only', null].includes(organizationStatus)
    ? undefined
    : {
        code: 'organization-closed',
        detail: `its organization is ${organizationStatus === 'suspended' ? 'suspended' : 'about to be deleted'}`,
      }

const ofWorkers = ({ workers, queue }: Situation): Cause | undefined =>
  workers === 0
    ? { code: 'no-worker', detail: `no live worker serves the queue ${queue}` }
    : undefined

const ofExecutor = ({ state, dispatchedUntil, now, executor }: Situation): Cause | undefined =>
  state === 'ready' && dispatchedUntil !== null && dispatchedUntil > now
    ? {
        code: 'dispatched',
        detail: `${executor} was told of it and has a worker start it; after that time it is told again`,
        until: dispatchedUntil,
      }
    : undefined

const ofKey = ({ holder, organizationId }: Situation): Cause | undefined =>
  holder
    ? {
        code: 'exclusive',
        // Whose it is and which it is concerns nobody else.
        detail:
          holder.organizationId === organizationId
            ? `${holder.id} runs, and of its key one runs at a time`
            : 'another job runs, and of its key one runs at a time',
      }
    : undefined

const ofCap = ({ runningMax, runningOwn }: Situation): Cause | undefined =>
  runningMax !== null && runningOwn >= runningMax
    ? { code: 'running-max', detail: `its organization runs ${runningOwn} of ${runningMax} jobs` }
    : undefined

const ofRate = ({ ratePerMinute, tokens, now }: Situation): Cause | undefined =>
  ratePerMinute !== null && tokens !== null && tokens < 1
    ? {
        code: 'rate',
        detail: `its organization may start ${ratePerMinute} jobs a minute`,
        until: after(now, ((1 - tokens) * 60_000) / ratePerMinute),
      }
    : undefined

const counted = (count: number, one: string, more: string) => `${count} ${count === 1 ? one : more}`

const ofTurn = (s: Situation): Cause => {
  if (s.ahead === 0 && s.organizationsWaiting <= 1 && s.running < s.slots)
    return { code: 'turn', detail: 'it is next, and a slot is free' }
  if (s.ahead === 0 && s.organizationsWaiting <= 1)
    return { code: 'turn', detail: `it is next; ${s.running} of ${s.slots} slots are taken` }
  const own = `${counted(s.ahead, 'job', 'jobs')} of its own organization before it`
  return {
    code: 'turn',
    detail: `${own}, ${counted(s.organizationsWaiting, 'organization waits', 'organizations wait')}`,
  }
}

/** The first of these that is so must change first; when none is, it is a matter of its turn. */
const CAUSES = [ofTime, ofQueue, ofOrganization, ofWorkers, ofExecutor, ofKey, ofCap, ofRate]
/** Of these nobody knows when they end. */
const OPEN_ENDED = new Set([
  'queue-paused',
  'organization-closed',
  'no-worker',
  'exclusive',
  'running-max',
])

const plain = (state: string, code: string, detail: string, until?: string): Explanation => ({
  state,
  waitsFor: [{ code, detail, ...(until === undefined ? {} : { until }) }],
  ahead: 0,
  organizationsWaiting: 0,
  expectedStartAt: null,
  basis: 'it does not wait for a start',
})

/** Why a job waits that has not ended. */
export const whyWaiting = (s: Situation): Explanation => {
  if (s.state === 'running')
    return plain(s.state, 'running', `runs since ${s.startedAt} on ${s.worker}`)
  if (s.state === 'dead')
    return plain(
      s.state,
      'dead',
      `dead after ${counted(s.attempts, 'attempt', 'attempts')}: ${s.error}; retry it`,
    )
  if (s.state === 'parked')
    return plain(s.state, 'parked', `parked: ${s.reason ?? 'no reason is known'}`)
  const causes = CAUSES.map((cause) => cause(s)).filter((cause) => cause !== undefined)
  const waitsFor = causes.length > 0 ? causes : [ofTurn(s)]
  const { ahead, organizationsWaiting } = s
  return { state: s.state, waitsFor, ahead, organizationsWaiting, ...expectation(s, waitsFor) }
}

/** Why a job does not wait: it has ended. */
export const whyEnded = (state: string, finishedAt: string): Explanation =>
  plain(state, 'finished', `ended ${state} at ${finishedAt}`)

const expectation = (s: Situation, waitsFor: readonly Cause[]) => {
  const open = waitsFor.find(({ code }) => OPEN_ENDED.has(code))
  if (open) return { expectedStartAt: null, basis: `nobody knows when this ends: ${open.detail}` }
  const notBefore = [s.now, ...waitsFor.map(({ until }) => until ?? s.now)].sort().at(-1)!
  if (waitsFor.some(({ code }) => code === 'dispatched'))
    return { expectedStartAt: s.now, basis: 'an executor was told of it' }
  const pace = paceOf(s)
  if (s.ahead === 0 && s.organizationsWaiting <= 1 && s.running < s.slots)
    return { expectedStartAt: notBefore, basis: 'nothing is before it and a slot is free' }
  if (pace === undefined)
    return {
      expectedStartAt: null,
      basis: 'nothing of the queue was started in the last five minutes',
    }
  return {
    expectedStartAt: after(notBefore, ((s.ahead + 1) / pace.perSecond) * 1000),
    basis: pace.basis,
  }
}

/** How fast its organization's jobs are started: its share of the queue's pace, and no faster than its rate. */
const paceOf = ({ startsPerSecond, weight, weights, ratePerMinute }: Situation) => {
  if (startsPerSecond === 0) return undefined
  const fair = startsPerSecond * (weight / Math.max(weight, weights))
  const perSecond = ratePerMinute === null ? fair : Math.min(fair, ratePerMinute / 60)
  const pace = `${Math.round(startsPerSecond * 100) / 100} starts a second in the last five minutes`
  return {
    perSecond,
    basis: `${pace}, of which its weight is ${weight} in ${Math.max(weight, weights)}`,
  }
}
