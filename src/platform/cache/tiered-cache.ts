import type { Log } from '../log.ts'
import type { Loaded } from './entry.ts'
import type { Generations } from './generations.ts'
import type { BreakerReport, GuardedStore } from './guarded-store.ts'
import { type ReadAt, requireWord } from './key.ts'
import type { CacheKeys } from './keyring.ts'
import { type Answer, createNamespaceInside, type NamespaceInside } from './namespace-cache.ts'
import {
  NAMESPACE_NAMES,
  NAMESPACES,
  type NamespaceName,
  type NamespaceSettings,
} from './namespaces.ts'
import type { Asked, Question } from './question.ts'
import { createReads } from './reads.ts'
import type { RemoteStore } from './remote-store.ts'
import { createRemoteTier, type RemoteTier } from './remote-tier.ts'
import { createRevisions } from './revisions.ts'
import { type Counts, createStatistics, type MinuteCounts } from './statistics.ts'

export type CachesOptions = {
  /** Guarded (`guardStore`), unless it is none. */
  store: RemoteStore | GuardedStore
  /** `CACHE_ENVIRONMENT`: what all keys begin with. */
  environment: string
  keys: CacheKeys
  generations: Generations
  log: Log
  settings: {
    /** `CACHE_BYTES_MAX`: bytes of all namespaces together. */
    bytesMax: number
    /**
     * Whether requests wait for a load of another one. false on Workers, where what a request has begun ends with it.
     * Default true.
     */
    sharesFlights?: boolean
  }
  now?: () => number
  random?: () => number
}

/** One namespace, as its callers see it. */
export type NamespaceCache = {
  /**
   * The value from memory, else from the remote store, else from the source, which answers with the revision it saw.
   * @throws what the loader throws, to everybody who waited for it; nothing of that is kept
   */
  get<Value>(
    question: Question,
    load: (signal: AbortSignal) => Promise<Loaded<Value>>,
  ): Promise<Answer<Value>>
}

export type NamespaceReport = Counts &
  NamespaceSettings & {
    readonly namespace: NamespaceName
    readonly entries: number
    readonly bytes: number
    readonly loadP50Ms: number | null
    readonly loadP99Ms: number | null
  }

/** What is known of one entry beside its value. */
export type EntryReport = ReadAt & {
  readonly tier: 'memory' | 'remote'
  readonly ageMs: number
  /** Less than 0 of one that has ended and may still be answered as stale. */
  readonly ttlLeftMs: number
  readonly bytes: number
  /** Of this node's memory. */
  readonly hits: number
}

export type CacheHealth = {
  readonly store: RemoteStore['kind']
  /** Whether answers come without the remote store although there is one: slower, but right. */
  readonly isDegraded: boolean
  readonly breaker: BreakerReport | undefined
}

export type Caches = ReturnType<typeof createCaches>

/** The caches of one node: nine namespaces in memory, over one store that all nodes share. */
export const createCaches = (options: CachesOptions) => {
  const { store, generations, now = Date.now, random = Math.random, settings } = options
  requireWord('environment', options.environment)
  const [reads, revisions] = [createReads(), createRevisions()]
  const pending = new Set<Promise<unknown>>()

  const behind = ({ question }: Asked, work: Promise<unknown>) => {
    // A refresh that failed is counted; the entry lives to its end.
    const done = work.catch(() => {}).finally(() => pending.delete(done))
    pending.add(done)
    question.waitUntil?.(done)
  }
  const open = (name: NamespaceName): NamespaceInside & { remote: RemoteTier | undefined } => {
    const [rules, statistics] = [NAMESPACES[name], createStatistics()]
    const shared = { ...options, rules, statistics, now, random }
    const hasRemote = rules.isRemote && store.kind !== 'none'
    const remote = hasRemote ? createRemoteTier({ ...shared, namespace: name }) : undefined
    const inside = createNamespaceInside({
      ...{ ...shared, name, remote, revisions, reads, behind },
      bytesMax: Math.max(1, Math.floor(settings.bytesMax * rules.share)),
      sharesFlights: settings.sharesFlights ?? true,
    })
    return { ...inside, remote }
  }
  const all = Object.fromEntries(NAMESPACE_NAMES.map((name) => [name, open(name)])) as Record<
    NamespaceName,
    ReturnType<typeof open>
  >
  generations.onRaised((raised) => {
    for (const { flights } of Object.values(all))
      flights.supersede(({ names }) => (names as readonly string[]).includes(raised))
  })

  const find = async (name: NamespaceName, question: Question) => {
    const { ask, memory, remote } = all[name]
    if (!generations.isFresh(now())) await generations.refresh(question.sql)
    const asked = ask(question)
    const { organizationId } = question
    const address = { ...asked.at, organizationId, generation: asked.generation, text: asked.text }
    const held = memory().peek(asked.key)
    return { asked, address, held, stored: held ? undefined : await remote?.find(address) }
  }

  return {
    namespace: (name: NamespaceName): NamespaceCache => ({ get: all[name].get }),
    /** An organization (or `platform`) has reached a revision: nothing older of it is answered or waited for any more. */
    heard: (organizationId: string, revision: number): void => {
      revisions.saw(organizationId, revision)
      const isOver = ({ question, at }: Asked) =>
        (question.organizationId === organizationId && at.revision < revision) ||
        (organizationId === 'platform' &&
          question.platformRevision !== undefined &&
          at.platformRevision < revision)
      for (const { flights, rules } of Object.values(all))
        if (rules().boundTo === 'revision') flights.supersede(isOver)
    },
    /** A change that was just committed here may have cleared something: the next answers know of it. */
    doubt: (): void => generations.doubt(),
    settings: (name: NamespaceName): NamespaceSettings => all[name].settings(),
    /** Changes room, lifetime or policy of a namespace, in this process and until it ends. */
    configure: (name: NamespaceName, changed: Partial<NamespaceSettings>): NamespaceSettings =>
      all[name].configure(changed),
    statistics: (): NamespaceReport[] =>
      NAMESPACE_NAMES.map((namespace) => {
        const { statistics, memory, settings } = all[namespace]
        const { p50Ms: loadP50Ms, p99Ms: loadP99Ms } = statistics.loadTimes()
        const figures = { ...statistics.counts, ...memory().size(), ...settings() }
        return { namespace, ...figures, loadP50Ms, loadP99Ms }
      }),
    /** A day by the minute, the oldest first. */
    series: (name: NamespaceName): MinuteCounts[] => all[name].statistics.series(now()),
    hotKeys: reads.hotKeys,
    trace: reads.trace,
    /** What is known of one entry, without counting it as asked for. */
    entry: async (name: NamespaceName, question: Question): Promise<EntryReport | undefined> => {
      const { held, stored } = await find(name, question)
      const found = held ?? stored
      if (!found) return undefined
      return {
        ...{ revision: found.revision, platformRevision: found.platformRevision },
        ...{ tier: held ? 'memory' : 'remote', ageMs: now() - found.storedAtMs },
        ttlLeftMs: found.expiresAtMs - now(),
        ...{ bytes: held?.bytes ?? stored!.text.length, hits: held?.hits ?? 0 },
      }
    },
    /** Its value, for those only who may see it. */
    entryValue: async (name: NamespaceName, question: Question) => {
      const { held, stored } = await find(name, question)
      if (held) return { value: held.value }
      return stored ? { value: JSON.parse(stored.text) as unknown } : undefined
    },
    /**
     * Takes an entry out of this node's memory and of the remote store; a load of it under way is not kept. Other nodes may
     * hold it until it ends: what must be gone from all of them is cleared by raising a generation.
     * @throws when the remote store could not be told
     */
    deleteEntry: async (name: NamespaceName, question: Question): Promise<boolean> => {
      const { asked, address, held, stored } = await find(name, question)
      const { memory, flights, remote } = all[name]
      flights.supersede(({ key }) => key === asked.key, true)
      memory().delete(asked.key)
      await remote?.delete(address)
      return held !== undefined || stored !== undefined
    },
    health: (): CacheHealth => {
      const breaker = 'breaker' in store ? store.breaker.report() : undefined
      const isDegraded = breaker !== undefined && breaker.state !== 'closed'
      return { store: store.kind, isDegraded, breaker }
    },
    /** Asks the remote store again at once. */
    resetBreaker: (): void => {
      if ('breaker' in store) store.breaker.reset()
    },
    /** Resolves when everything that is done behind answers is done. */
    settled: async (): Promise<void> => {
      while (pending.size > 0) await Promise.all(pending)
    },
  }
}
