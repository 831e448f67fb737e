import type { Entry, Loaded } from './entry.ts'
import { createFlights, type Flight, SupersededError } from './flights.ts'
import type { Generations } from './generations.ts'
import { hashOfLocalKey, KEY_LENGTH_MAX } from './key.ts'
import { isDueEarly } from './lifetime.ts'
import { createLoading, type Load, type Result, resultOf } from './loading.ts'
import { createMemory } from './memory.ts'
import { NAMESPACE_NAMES, type NamespaceName, type NamespaceRules } from './namespaces.ts'
import { type Asked, createAsking, mustAskSource, type Question } from './question.ts'
import type { Reads } from './reads.ts'
import type { RemoteTier } from './remote-tier.ts'
import type { Revisions } from './revisions.ts'
import type { Statistics } from './statistics.ts'

/** What a namespace answers. */
export type Answer<Value> = {
  /** Plain JSON, frozen. */
  readonly value: Value
  /** What it was read at; 0 where the namespace is bound to no revision. */
  readonly revision: number
  readonly platformRevision: number
  /** Whether it has ended, or may have been cleared: only of namespaces that nobody is let in by. */
  readonly isStale: boolean
  readonly tier: 'memory' | 'remote' | 'source'
}

export type NamespaceOptions = {
  name: NamespaceName
  rules: NamespaceRules
  bytesMax: number
  generations: Generations
  revisions: Revisions
  remote: RemoteTier | undefined
  statistics: Statistics
  reads: Reads
  sharesFlights: boolean
  now: () => number
  random: () => number
  behind: (asked: Asked, work: Promise<unknown>) => void
}

export type NamespaceInside = ReturnType<typeof createNamespaceInside>

/** Part of the room that one entry may take. */
const ENTRY_SHARE_MAX = 0.5

/** One namespace with all that its caretakers need; `tiered-cache.ts` shows callers the `get` of it. */
export const createNamespaceInside = (options: NamespaceOptions) => {
  const { generations, statistics, reads, sharesFlights, now, random, behind } = options
  const { counts } = statistics
  const place = NAMESPACE_NAMES.indexOf(options.name)
  let rules = options.rules
  let settings = { bytesMax: options.bytesMax, ttlMs: rules.ttlMs, policy: rules.policy }

  const newMemory = () =>
    createMemory<Entry>({
      ...{ bytesMax: settings.bytesMax, policy: settings.policy },
      entryBytesMax: Math.max(1, Math.floor(settings.bytesMax * ENTRY_SHARE_MAX)),
      hashOf: hashOfLocalKey,
      onEvict: () => {
        counts.evictions++
      },
    })
  let memory = newMemory()
  const flights = createFlights<Result, Asked>()
  const loading = createLoading({ ...options, rules: () => rules, memory: () => memory })
  const ask = createAsking(options)
  let turn = 0

  const start = (
    asked: Asked,
    work: (flight: Flight<Result>) => Promise<Result>,
    { isLast = false, isShared = sharesFlights } = {},
  ) => flights.start(isShared ? asked.key : `${asked.key}\n${++turn}`, asked, isLast, work)

  const noted = (asked: Asked, result: Result): Answer<unknown> => {
    const { entry, value, revision, platformRevision, isStale, tier } = result
    if (isStale) counts.stale++
    if (entry) reads.note(place, entry)
    else if (asked.text.length <= KEY_LENGTH_MAX)
      reads.note(place, { ...asked.question, hash: 0, bytes: 0, text: asked.text })
    return { value, revision, platformRevision, isStale, tier }
  }

  const fromSource = async (asked: Asked, load: Load): Promise<Answer<unknown>> => {
    const lone = { isLast: true, isShared: false }
    const flight = start(asked, (flight) => loading.fromSource(asked, load, flight), lone)
    return noted(asked, await flight.done)
  }

  /** Together with all who ask for the same. Who waits for what is given up meanwhile asks the source, once. */
  const together = async (asked: Asked, load: Load, isLast: boolean): Promise<Answer<unknown>> => {
    const joined = sharesFlights ? flights.find(asked.key) : undefined
    if (joined) counts.shared++
    const work = (flight: Flight<Result>) =>
      isLast ? loading.fromSource(asked, load, flight) : loading.fromAnywhere(asked, load, flight)
    try {
      const result = await (joined ?? start(asked, work, { isLast })).done
      const { isCurrent } = asked.question
      const isMine = !joined || (result.isShareable && (isCurrent?.(result.value) ?? true))
      return isMine ? noted(asked, result) : await fromSource(asked, load)
    } catch (error) {
      if (!(error instanceof SupersededError)) throw error
      counts.superseded++
      const again = ask(asked.question)
      return isLast ? fromSource(again, load) : together(again, load, true)
    }
  }

  const refresh = (asked: Asked, load: Load, entry: Entry) => {
    if (flights.find(asked.key)) return
    const work = (flight: Flight<Result>) => loading.fromAnywhere(asked, load, flight, entry)
    behind(asked, start(asked, work).done)
  }

  const answer = (question: Question, load: Load, nowMs: number): Promise<Answer<unknown>> => {
    const asked = ask(question)
    if (asked.text.length > KEY_LENGTH_MAX || mustAskSource(asked, rules))
      return fromSource(asked, load)
    const entry = memory.get(asked.key)
    if (entry === undefined || (question.isCurrent && !question.isCurrent(entry.value))) {
      counts.memoryMisses++
      return together(asked, load, false)
    }
    const leftMs = entry.expiresAtMs - nowMs
    if (leftMs > 0) {
      entry.hits++
      statistics.count('memoryHits', nowMs)
      reads.note(place, entry)
      if (isDueEarly({ loadMs: entry.loadMs, leftMs }, random)) refresh(asked, load, entry)
      const { value, revision, platformRevision } = entry
      return Promise.resolve({ value, revision, platformRevision, isStale: false, tier: 'memory' })
    }
    counts.memoryMisses++
    if (nowMs >= Math.min(entry.usableUntilMs, entry.expiresAtMs + rules.staleWhileLoadingMs))
      return together(asked, load, false)
    refresh(asked, load, entry)
    return Promise.resolve(noted(asked, resultOf(entry, 'memory', true)))
  }

  /** After the generations were read anew; what may be stale is answered, marked, also when they cannot be read. */
  const answerAfterReading = async (question: Question, load: Load) => {
    try {
      await generations.refresh(question.sql)
    } catch (error) {
      if (rules.staleIfErrorMs === 0) throw error
      const known = await answer(question, load, now())
      return { ...known, isStale: known.isStale || known.tier !== 'source' }
    }
    return answer(question, load, now())
  }

  return {
    rules: () => rules,
    settings: () => settings,
    statistics,
    ask,
    memory: () => memory,
    flights,
    get: <Value>(
      question: Question,
      load: (signal: AbortSignal) => Promise<Loaded<Value>>,
    ): Promise<Answer<Value>> => {
      const nowMs = now()
      try {
        const answered = generations.isFresh(nowMs)
          ? answer(question, load, nowMs)
          : answerAfterReading(question, load)
        return answered as Promise<Answer<Value>>
      } catch (error) {
        return Promise.reject(error)
      }
    },
    /** Moves what fits into a room of another size or policy; what is there keeps its end. */
    configure: (changed: Partial<typeof settings>) => {
      settings = { ...settings, ...changed }
      rules = { ...rules, ttlMs: settings.ttlMs }
      const before = memory
      memory = newMemory()
      for (const [key, entry] of [...before.entries()].reverse())
        memory.set(key, entry, entry.bytes)
      return settings
    },
  }
}
