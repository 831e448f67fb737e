import type { Stored } from './codec.ts'
import { type Entry, entryOf, type Loaded, storedOf } from './entry.ts'
import { type Flight, SupersededError } from './flights.ts'
import { localKey, type ReadAt } from './key.ts'
import type { Memory } from './memory.ts'
import type { NamespaceRules } from './namespaces.ts'
import { frozen } from './plain.ts'
import type { Asked } from './question.ts'
import { type Address, type RemoteTier, SLOW_LOAD_MS } from './remote-tier.ts'
import type { Revisions } from './revisions.ts'
import type { Statistics } from './statistics.ts'

export type Load = (signal: AbortSignal) => Promise<Loaded<unknown>>

/** What a flight brings. */
export type Result = ReadAt & {
  readonly value: unknown
  readonly isStale: boolean
  readonly tier: 'memory' | 'remote' | 'source'
  /** Whether others who asked for the same may have it. */
  readonly isShareable: boolean
  readonly entry?: Entry
}

export type LoadingOptions = {
  /** The rules as they are now; their lifetime can be changed while it runs. */
  rules: () => NamespaceRules
  memory: () => Memory<Entry>
  remote: RemoteTier | undefined
  revisions: Revisions
  statistics: Statistics
  now: () => number
  random: () => number
  /** Goes on behind the answer. */
  behind: (asked: Asked, work: Promise<unknown>) => void
}

export const resultOf = (entry: Entry, tier: Result['tier'], isStale = false): Result => ({
  ...{ value: entry.value, revision: entry.revision, platformRevision: entry.platformRevision },
  ...{ isStale, tier, isShareable: true, entry },
})

const addressOf = ({ question, generation, text }: Asked, at: ReadAt): Address => ({
  ...{ organizationId: question.organizationId, generation, text },
  ...{ revision: at.revision, platformRevision: at.platformRevision },
})

/** Brings values into memory: from the remote store, else from the source. */
export const createLoading = (options: LoadingOptions) => {
  const { remote, revisions, statistics, now, random, behind } = options
  const { counts } = statistics

  const keep = (asked: Asked, at: ReadAt, stored: Stored, flight: Flight<Result>): Entry => {
    const { organizationId } = asked.question
    const key = localKey(at, organizationId, asked.generation, asked.text)
    const entry = entryOf(stored, key, { organizationId, text: asked.text })
    if (flight.isDropped || stored.usableUntilMs <= now()) return entry
    options.memory().set(key, entry, entry.bytes)
    counts.memoryStores++
    return entry
  }

  /** From the source, kept under the revision that the loader saw: a late one fills a key that nobody asks for any more. */
  const fromSource = async (
    asked: Asked,
    load: Load,
    flight: Flight<Result>,
    release: () => Promise<void> = async () => {},
  ): Promise<Result> => {
    const { organizationId, platformRevision } = asked.question
    const [startedAtMs, clock] = [now(), performance.now()]
    let loaded: Loaded<unknown>
    try {
      loaded = await load(flight.signal)
    } catch (error) {
      if (!flight.signal.aborted) statistics.count('loadErrors', now())
      behind(asked, release())
      throw error
    }
    const loadMs = performance.now() - clock
    statistics.loaded(loadMs)
    statistics.count('loads', now())
    const at: ReadAt =
      options.rules().boundTo === 'generation'
        ? asked.at
        : {
            revision: loaded.revision,
            platformRevision: platformRevision === undefined ? 0 : (loaded.platformRevision ?? 0),
          }
    if (at !== asked.at) revisions.saw(organizationId, at.revision)
    const stored = storedOf({ ...loaded, ...at }, options.rules(), { startedAtMs, loadMs, random })
    if (!stored) {
      counts.unkept++
      behind(asked, release())
      const isShareable = loaded.isStorable !== false
      const value = isShareable ? frozen(loaded.value) : loaded.value
      return { ...at, value, isStale: false, tier: 'source', isShareable }
    }
    const entry = keep(asked, at, stored, flight)
    const put = flight.isDropped
      ? Promise.resolve()
      : remote?.put(addressOf(asked, at), stored, stored.usableUntilMs)
    behind(asked, (put ?? Promise.resolve()).finally(release))
    return resultOf(entry, 'source')
  }

  const staleOf = (asked: Asked, known: Stored | undefined, flight: Flight<Result>) => {
    const { staleIfErrorMs } = options.rules()
    if (staleIfErrorMs === 0) return undefined
    const held = options.memory().peek(asked.key) ?? (known && keep(asked, asked.at, known, flight))
    const untilMs = held && Math.min(held.usableUntilMs, held.expiresAtMs + staleIfErrorMs)
    return held && now() < untilMs! ? held : undefined
  }

  const isFresh = ({ question }: Asked, stored: Stored, held: Entry | undefined) =>
    stored.expiresAtMs > Math.max(now(), held?.expiresAtMs ?? Number.NEGATIVE_INFINITY) &&
    // The same load would otherwise look newer by the milliseconds that its way through the store took.
    stored.storedAtMs !== held?.storedAtMs &&
    // A lifetime that was shortened here counts for what others stored, too.
    stored.storedAtMs + options.rules().ttlMs * 1.1 > now() &&
    (question.isCurrent === undefined || question.isCurrent(JSON.parse(stored.text)))

  /**
   * From the remote store, else from the source.
   * @param held what is to be loaded anew: it, and what ends before it, is not taken from the store
   */
  const fromAnywhere = async (
    asked: Asked,
    load: Load,
    flight: Flight<Result>,
    held?: Entry,
  ): Promise<Result> => {
    const address = addressOf(asked, asked.at)
    let release: (() => Promise<void>) | undefined
    let found = await remote?.find(address)
    if (remote && !(found && isFresh(asked, found, held))) {
      counts.remoteMisses++
      if (statistics.expectedLoadMs() > SLOW_LOAD_MS) {
        const leased = await remote.lease(address)
        if (typeof leased === 'function') release = leased
        else found = leased
      }
    }
    if (found && isFresh(asked, found, held)) {
      statistics.count('remoteHits', now())
      return resultOf(keep(asked, asked.at, found, flight), 'remote')
    }
    try {
      return await fromSource(asked, load, flight, release)
    } catch (error) {
      const stale = error instanceof SupersededError ? undefined : staleOf(asked, found, flight)
      if (!stale) throw error
      return resultOf(stale, stale.storedAtMs === found?.storedAtMs ? 'remote' : 'memory', true)
    }
  }

  return { fromSource, fromAnywhere }
}
