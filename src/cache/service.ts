import type { Policies } from '../decisions/service.ts'
import { NAMESPACE_NAMES, NAMESPACES, type NamespaceName } from '../platform/cache/namespaces.ts'
import type { Question } from '../platform/cache/question.ts'
import { recommend, simulate } from '../platform/cache/simulate.ts'
import type { MinuteCounts } from '../platform/cache/statistics.ts'
import type { Caches, NamespaceReport } from '../platform/cache/tiered-cache.ts'
import type { Context } from '../platform/context.ts'
import { Problem } from '../platform/problem.ts'
import type {
  AskSeries,
  AskStats,
  Breaker,
  CacheHealth,
  CacheNamespace,
  Entry,
  HotKeys,
  OneEntry,
  Series,
  SimulateRequest,
  Simulations,
} from './schema.ts'

/** What the endpoints look at: the caches of this process, and the policies that tell which revision is current. */
export type CacheSettings = { caches: Caches; policies: Policies }

const page = <Item>(items: Item[]) => ({ items, nextCursor: null })

const ratioOf = (hits: number, misses: number) =>
  hits + misses === 0 ? null : hits / (hits + misses)

const shown = (report: NamespaceReport): CacheNamespace => {
  const { namespace, memoryHits, memoryMisses, remoteHits, remoteMisses, loads } = report
  const { bytesMax, ttlMs, policy, entries, bytes, stale, unkept } = report
  const { boundTo, isRemote } = NAMESPACES[namespace]
  return {
    ...{ namespace, boundTo, isRemote, bytesMax, ttlMs, policy, entries, bytes, stale, unkept },
    hitRatio: ratioOf(memoryHits + remoteHits, loads),
    memory: {
      hits: memoryHits,
      misses: memoryMisses,
      stores: report.memoryStores,
      evictions: report.evictions,
    },
    remote: {
      hits: remoteHits,
      misses: remoteMisses,
      stores: report.remoteStores,
      tampered: report.tampered,
    },
    loads: {
      count: loads,
      errors: report.loadErrors,
      shared: report.shared,
      superseded: report.superseded,
      p50Ms: report.loadP50Ms,
      p99Ms: report.loadP99Ms,
    },
  }
}

/** What each namespace of this process holds, and how often it had the answer. */
export const listNamespaces = ({ caches }: CacheSettings, { namespace }: AskStats) =>
  page(
    caches
      .statistics()
      .filter((report) => namespace === undefined || report.namespace === namespace)
      .map(shown),
  )

export const getNamespace = (settings: CacheSettings, namespace: NamespaceName): CacheNamespace =>
  listNamespaces(settings, { namespace }).items[0]!

/** Hits and loads by the minute, the oldest first. */
export const getSeries = ({ caches }: CacheSettings, { namespace, minutes }: AskSeries): Series => {
  const names = namespace === undefined ? NAMESPACE_NAMES : [namespace]
  const all = names.map((name) => caches.series(name).slice(-minutes))
  return page(all[0]!.map((_, at) => shownMinute(all.map((series) => series[at]!))))
}

const shownMinute = (counted: MinuteCounts[]) => {
  const sum = (column: Exclude<keyof MinuteCounts, 'startsAtMs'>) =>
    counted.reduce((total, minute) => total + minute[column], 0)
  const [memoryHits, remoteHits, loads] = [sum('memoryHits'), sum('remoteHits'), sum('loads')]
  return {
    at: new Date(counted[0]!.startsAtMs).toISOString(),
    ...{ memoryHits, remoteHits, loads, loadErrors: sum('loadErrors') },
    hitRatio: ratioOf(memoryHits + remoteHits, loads),
  }
}

const NO_BREAKER: Breaker = {
  ...{ state: 'none', since: null, failures: 0, isSuspect: false },
  ...{ refusals: 0, errors: 0, timeouts: 0, failedReads: 0, failedWrites: 0 },
}

/** Whether answers come without the remote store although there is one: slower, but right. */
export const getHealth = ({ caches }: CacheSettings): CacheHealth => {
  const { store, isDegraded, breaker } = caches.health()
  if (!breaker) return { store, isDegraded, breaker: NO_BREAKER }
  const { sinceMs, ...known } = breaker
  return { store, isDegraded, breaker: { ...known, since: new Date(sinceMs).toISOString() } }
}

/** The keys that are read most, without their text. */
export const listHotKeys = async ({ caches }: CacheSettings): Promise<HotKeys> =>
  page((await caches.hotKeys()).map(({ text: _text, ...key }) => key))

/** The question behind an entry, as of the revisions that are current. @throws Problem 404 */
export const questionOf = async (
  { policies }: CacheSettings,
  { sql }: Context,
  { organization, key }: Omit<OneEntry, 'namespace'>,
): Promise<Question> => {
  if (organization === 'platform') {
    const { revision } = await policies.currentPlatform(sql)
    return { sql, organizationId: 'platform', revision, platformRevision: revision, key }
  }
  const state = await policies.find(sql, organization)
  if (!state)
    throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
  const { id, revision, platform } = state
  return { sql, organizationId: id, revision, platformRevision: platform.revision, key }
}

const noEntry = () =>
  new Problem('not-found', 'cache-entry-not-found', 'Nothing is kept under this key.')

/** What is known of one entry beside its value. */
export const getEntry = async (
  settings: CacheSettings,
  context: Context,
  { namespace, ...entry }: OneEntry,
): Promise<Entry> => {
  const question = await questionOf(settings, context, entry)
  const found = await settings.caches.entry(namespace, question)
  if (!found) throw noEntry()
  return found
}

/** Its value: what organizations keep may be in it, so it has a permission of its own. */
export const getEntryValue = async (
  settings: CacheSettings,
  context: Context,
  { namespace, ...entry }: OneEntry,
) => {
  const question = await questionOf(settings, context, entry)
  const found = await settings.caches.entryValue(namespace, question)
  if (!found) throw noEntry()
  return { value: found.value }
}

/** What other sizes and policies would have made of the last reads. */
export const simulateCache = async (
  { caches }: CacheSettings,
  { namespace, policy, bytesMax }: SimulateRequest,
): Promise<Simulations> => {
  const trace = caches.trace().filter((read) => !namespace || read.namespace === namespace)
  if (policy !== undefined && bytesMax !== undefined)
    return page([simulate(trace, policy, bytesMax)])
  const tried = await recommend(trace)
  return page(tried.filter((each) => policy === undefined || each.policy === policy))
}
