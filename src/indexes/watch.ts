import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import { requireEntry } from './entry.ts'
import type { EntryRow } from './repository.ts'
import type { OneEntry, ProgressEvent } from './schema.ts'

const LOOK_MS = 500
/** Half of what proxies commonly wait. */
const HEARTBEAT_MS = 15_000
/** Milliseconds after which a watcher is sent away, to come back with whatever rights it has then. */
const WATCH_MS_MAX = 900_000
/** Streams of one process. */
const WATCHERS_MAX = 100

export type WatchOptions = {
  signal: AbortSignal
  lookMs?: number
  heartbeatMs?: number
  untilMs?: number
}

let watchers = 0

const isUnderWay = ({ status }: EntryRow) => ['approved', 'creating', 'reverting'].includes(status)

const find = ({ sql }: Context, id: string) => inPlatform(sql, (tx) => requireEntry(tx, id))

/**
 * How a build goes, as it goes; the last event is `end`, at once where nothing is under way.
 * @throws Problem 404; 503 where too many watch
 */
export const watchIndex = async (
  context: Context,
  { id }: OneEntry,
  options: WatchOptions,
): Promise<AsyncGenerator<ProgressEvent>> => {
  if (watchers >= WATCHERS_MAX)
    throw new Problem('unavailable', 'too-many-watchers', 'Too many are watching here; try again.')
  return watching(context, await find(context, id), options)
}

const mayWatch = (context: Context) =>
  context.access.permits(context, 'optimizer:read', { organizationId: null })

const watching = async function* (
  context: Context,
  first: EntryRow,
  { signal, lookMs = LOOK_MS, heartbeatMs = HEARTBEAT_MS, untilMs = WATCH_MS_MAX }: WatchOptions,
): AsyncGenerator<ProgressEvent> {
  watchers++
  const endsAtMs = Date.now() + untilMs
  let entry = first
  let [said, saidAtMs] = ['', Date.now()]
  try {
    while (!signal.aborted && Date.now() < endsAtMs && (await mayWatch(context))) {
      const { status, statusReason: reason, progress } = entry
      const data = {
        status,
        reason,
        phase: progress?.phase ?? null,
        share: progress?.share ?? null,
      }
      const text = JSON.stringify(data)
      if (!isUnderWay(entry)) return void (yield { event: 'end', id: `${entry.version}`, data })
      const isNews = text !== said
      if (isNews || Date.now() - saidAtMs >= heartbeatMs) {
        yield isNews ? { event: 'progress', id: `${entry.version}`, data } : { event: 'heartbeat' }
        said = text
        saidAtMs = Date.now()
      }
      await pause(lookMs, signal)
      entry = await find(context, first.id)
    }
  } finally {
    watchers--
  }
}

/** Waits, or not any longer when nobody listens. */
const pause = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
  })
