import { setTimeout as sleep } from 'node:timers/promises'
import type { Furnished } from '../node.ts'
import type { Log } from '../platform/log.ts'
import { createMetricsSum } from '../platform/metrics-sum.ts'
import { CommandError } from './failure.ts'
import { type End, howOf, type Member, startMember } from './member.ts'

/** A worker that ends within this time after it began to serve was not kept alive. */
const STABLE_MS = 1000
/** So many such ends in one place, and no worker serves anywhere: nothing more is tried. */
const TRIES = 3
const BACKOFF_FIRST_MS = 100
const BACKOFF_MAX_MS = 30_000

/** A place that is always to be filled; a renewal fills it before it is empty. */
type Place = {
  number: number
  member?: Member | undefined
  /** Ends without having been kept alive, one after another. */
  failures: number
  filling?: Promise<Furnished | undefined> | undefined
}

/** Keeps so many workers alive: one first, which furnishes an empty server, then the others. */
export const startFleet = ({ count, isNew, log }: { count: number; isNew: boolean; log: Log }) => {
  const places = Array.from({ length: count }, (_, i): Place => ({ number: i + 1, failures: 0 }))
  const members = new Set<Member>()
  const sum = createMetricsSum()
  /** The code that the process ends with. */
  const ended = Promise.withResolvers<number>()
  let [isFirst, hasServed, isStopping, isRenewing] = [true, false, false, false]

  const waiting = new AbortController()
  const stop = () => {
    isStopping = true
    waiting.abort()
    for (const member of members) member.stop()
    if (members.size === 0) ended.resolve(0)
  }

  const heard = {
    counted: sum.counted,
    sumWanted: async () => {
      await Promise.all(places.map(({ member }) => member?.count()))
      return sum.text()
    },
  }

  /** A new worker for this place, beside the one that has it until then. */
  const fill = (place: Place) => {
    place.filling ??= bear(place).finally(() => {
      place.filling = undefined
    })
    return place.filling
  }

  const bear = async (place: Place) => {
    const makesKey = isFirst
    isFirst = false
    const member = startMember(
      { worker: place.number, makesKey, makesDemo: makesKey && isNew },
      heard,
    )
    members.add(member)
    void member.ended.then((end) => bury(place, member, end))
    const running = await member.ready
    if (!running) return undefined
    place.member = member
    hasServed = true
    sum.serving.set(places.filter((each) => each.member).length)
    log.info({ worker: place.number, pid: member.pid }, 'worker serves')
    return running
  }

  const bury = async (place: Place, member: Member, end: End) => {
    members.delete(member)
    if (place.member === member) place.member = undefined
    sum.serving.set(places.filter((each) => each.member).length)
    sum.ended(member.pid)
    if (isStopping && members.size === 0) ended.resolve(0)
    if (isStopping || member.isTold()) return
    if (!hasServed) return failToStart(end)
    if (end.code !== 0) sum.deaths.inc()
    place.failures = (end.servedMs ?? 0) >= STABLE_MS ? 0 : place.failures + 1
    if (place.failures >= TRIES && !places.some((each) => each.member)) return giveUp(place, end)
    const againInMs =
      place.failures && Math.min(BACKOFF_FIRST_MS * 2 ** (place.failures - 1), BACKOFF_MAX_MS)
    const { code, signal } = end
    log.error({ worker: place.number, pid: member.pid, code, signal, againInMs }, 'worker ended')
    await sleep(againInMs, undefined, { signal: waiting.signal }).catch(() => {})
    if (!isStopping && !place.member) await fill(place)
  }

  /** One that cannot serve has said why, in one line; one that was killed has said nothing. */
  const failToStart = (end: End) => {
    if (end.code !== null) return ended.resolve(end.code)
    ended.reject(new CommandError(`the first worker ended ${howOf(end)} before it served`))
  }

  const giveUp = ({ number, failures }: Place, end: End) => {
    ended.reject(
      new CommandError(
        `no worker stays alive: worker ${number} ended ${failures} times within a second of its start, the last time ${howOf(end)}`,
      ),
    )
    stop()
  }

  /** Puts new workers into the places of the old, one after another; somebody serves all the time. */
  const renew = async () => {
    if (isRenewing || isStopping) return
    isRenewing = true
    log.info({ workers: count }, 'workers are renewed')
    for (const place of places) {
      const before = place.member
      const running = await fill(place)
      if (isStopping) return
      if (!running) {
        log.error({ worker: place.number }, 'the new worker did not start; the others stay')
        break
      }
      before?.stop()
      await before?.ended
    }
    isRenewing = false
    log.info({ workers: count }, 'renewal ended')
  }

  /** Answers what the first worker tells; undefined if none could be started. */
  const start = async () => {
    const running = await fill(places[0]!)
    if (running && !isStopping) for (const place of places) if (!place.member) void fill(place)
    return running
  }

  return { start, stop, renew, ended: ended.promise }
}
