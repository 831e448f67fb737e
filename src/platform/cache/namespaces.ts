import type { MemoryPolicy } from './memory.ts'

const [SECOND, MINUTE, HOUR] = [1000, 60_000, 3_600_000]
const [KB, MB] = [1024, 1024 * 1024]

/** How what is kept under one name is kept. Times in milliseconds. */
export type NamespaceRules = {
  /**
   * What makes an entry count no longer: the organization's revision, or nothing but generations (a namespace or tag that
   * was cleared). Then the revision of its keys is 0.
   */
  readonly boundTo: 'revision' | 'generation'
  /** Whether other nodes see it, through the remote store. */
  readonly isRemote: boolean
  readonly ttlMs: number
  /** Of the answer that there is nothing. */
  readonly negativeTtlMs: number
  /** How long after its end an entry is answered, marked as stale, when the source fails. 0: never. */
  readonly staleIfErrorMs: number
  /** How long after its end an entry is answered, marked as stale, while it is loaded anew. 0: never. */
  readonly staleWhileLoadingMs: number
  /** Whether it may hold secrets beside text of callers, so that it is not compressed. */
  readonly isSecret: boolean
  /** Part of all the bytes. */
  readonly share: number
  /** Bytes of one value's JSON; a larger one is answered and not kept. */
  readonly valueBytesMax: number
  readonly policy: MemoryPolicy
}

const rules = (given: Partial<NamespaceRules> & { ttlMs: number; share: number }) => ({
  boundTo: 'revision' as const,
  isRemote: true,
  negativeTtlMs: Math.min(given.ttlMs, 30 * SECOND),
  staleIfErrorMs: 0,
  staleWhileLoadingMs: 0,
  isSecret: false,
  valueBytesMax: 512 * KB,
  policy: 'lru' as const,
  ...given,
})

/**
 * The nine names values are kept under. Where the source fails, what decides is a 503, never an old answer; stale is only
 * what nobody is let in by.
 */
export const NAMESPACES = {
  /** An organization's or a subject's lines, ready to compile. */
  policy: rules({ ttlMs: HOUR, share: 0.35, valueBytesMax: 8 * MB }),
  /** Costly answers: pages of searches, previews. */
  decision: rules({ ttlMs: 15 * SECOND, share: 0.1, isRemote: false }),
  /** A subject's memberships, teams, status. */
  membership: rules({ ttlMs: 5 * MINUTE, share: 0.15 }),
  /** Roles with what they inherit. */
  role: rules({ ttlMs: HOUR, share: 0.05 }),
  /** Settings, plan, limits. */
  settings: rules({ ttlMs: 5 * MINUTE, share: 0.05 }),
  /** Who a key's id stands for. The entry names the revision it counts for: its reader gives `isCurrent`. */
  'api-key': rules({
    boundTo: 'generation',
    ttlMs: MINUTE,
    negativeTtlMs: 5 * SECOND,
    share: 0.1,
    isSecret: true,
  }),
  /** Pages of templates, searches, facets. */
  marketplace: rules({
    boundTo: 'generation',
    ttlMs: 5 * MINUTE,
    share: 0.08,
    staleWhileLoadingMs: 5 * MINUTE,
    staleIfErrorMs: HOUR,
  }),
  /** Keys and metadata of those who issue tokens. */
  idp: rules({
    boundTo: 'generation',
    ttlMs: HOUR,
    negativeTtlMs: 10 * SECOND,
    share: 0.02,
    staleIfErrorMs: 23 * HOUR,
  }),
  /** Analytics, statistics, reports. The hour they are of stands in their keys: what is counted raises no revision. */
  report: rules({
    boundTo: 'generation',
    ttlMs: 15 * MINUTE,
    share: 0.1,
    staleIfErrorMs: 6 * HOUR,
  }),
} satisfies Record<string, NamespaceRules>

export type NamespaceName = keyof typeof NAMESPACES

export const NAMESPACE_NAMES = Object.keys(NAMESPACES) as NamespaceName[]

/** What can be changed while it runs. */
export type NamespaceSettings = {
  readonly bytesMax: number
  readonly ttlMs: number
  readonly policy: MemoryPolicy
}
