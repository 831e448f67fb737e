import * as v from 'valibot'
import { Reference } from '../permissions/schema.ts'
import { NAMESPACE_NAMES } from '../platform/cache/namespaces.ts'
import { pageOf } from '../platform/page.ts'

const POLICIES = ['lru', 'fifo', 'lfu'] as const
const namespaces = NAMESPACE_NAMES.join(', ')
const Namespace = v.picklist(NAMESPACE_NAMES, `must be one of ${namespaces}`)
const Policy = v.picklist(POLICIES, `must be one of ${POLICIES.join(', ')}`)
const whole = (min: number, max: number) =>
  v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(min), v.maxValue(max))

const BYTES_MIN = 1024
const BYTES_MAX = 16 * 1024 ** 3
const TTL_MS_MAX = 24 * 3_600_000

/** One namespace of this process: how it is kept, and what was counted since the process began. */
export const CacheNamespace = v.object({
  namespace: Namespace,
  boundTo: v.picklist(['revision', 'generation']),
  isRemote: v.boolean(),
  bytesMax: v.number(),
  ttlMs: v.number(),
  policy: Policy,
  entries: v.number(),
  bytes: v.number(),
  hitRatio: v.nullable(v.number()),
  memory: v.object({
    hits: v.number(),
    misses: v.number(),
    stores: v.number(),
    evictions: v.number(),
  }),
  remote: v.object({
    hits: v.number(),
    misses: v.number(),
    stores: v.number(),
    tampered: v.number(),
  }),
  loads: v.object({
    count: v.number(),
    errors: v.number(),
    shared: v.number(),
    superseded: v.number(),
    p50Ms: v.nullable(v.number()),
    p99Ms: v.nullable(v.number()),
  }),
  stale: v.number(),
  unkept: v.number(),
})
export type CacheNamespace = v.InferOutput<typeof CacheNamespace>
export const CacheNamespaces = pageOf(CacheNamespace)

export const AskStats = v.strictObject({ namespace: v.optional(Namespace) })
export type AskStats = v.InferOutput<typeof AskStats>

export const OneNamespace = v.object({ namespace: Namespace })
export type OneNamespace = v.InferOutput<typeof OneNamespace>

/** Of this process, until it ends. */
export const PatchNamespace = v.strictObject({
  bytesMax: v.optional(whole(BYTES_MIN, BYTES_MAX)),
  ttlMs: v.optional(whole(1, TTL_MS_MAX)),
  policy: v.optional(Policy),
})
export type PatchNamespace = v.InferOutput<typeof PatchNamespace>

/** Left out, all namespaces together. */
export const AskSeries = v.strictObject({
  namespace: v.optional(Namespace),
  minutes: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,4}$/, 'must be a whole number'),
      v.transform(Number),
      v.minValue(1),
      v.maxValue(1440),
    ),
    '60',
  ),
})
export type AskSeries = v.InferOutput<typeof AskSeries>

export const Minute = v.object({
  at: v.string(),
  memoryHits: v.number(),
  remoteHits: v.number(),
  loads: v.number(),
  loadErrors: v.number(),
  hitRatio: v.nullable(v.number()),
})
export const Series = pageOf(Minute)
export type Series = v.InferOutput<typeof Series>

export const Breaker = v.object({
  state: v.picklist(['closed', 'open', 'half-open', 'none']),
  since: v.nullable(v.string()),
  failures: v.number(),
  isSuspect: v.boolean(),
  refusals: v.number(),
  errors: v.number(),
  timeouts: v.number(),
  failedReads: v.number(),
  failedWrites: v.number(),
})
export type Breaker = v.InferOutput<typeof Breaker>

export const CacheHealth = v.object({
  store: v.picklist(['redis', 'upstash', 'none']),
  isDegraded: v.boolean(),
  breaker: Breaker,
})
export type CacheHealth = v.InferOutput<typeof CacheHealth>

export const HotKeys = pageOf(
  v.object({
    organizationId: v.string(),
    namespace: Namespace,
    keyHash: v.string(),
    reads: v.number(),
    error: v.number(),
  }),
)
export type HotKeys = v.InferOutput<typeof HotKeys>

/** Whose entry, and under which key it was asked for. */
export const OneEntry = v.strictObject({
  organization: Reference,
  key: v.pipe(v.string(), v.nonEmpty(), v.maxLength(4096)),
})
export type OneEntry = OneNamespace & v.InferOutput<typeof OneEntry>

export const Entry = v.object({
  tier: v.picklist(['memory', 'remote']),
  revision: v.number(),
  platformRevision: v.number(),
  ageMs: v.number(),
  ttlLeftMs: v.number(),
  bytes: v.number(),
  hits: v.number(),
})
export type Entry = v.InferOutput<typeof Entry>
export const EntryValue = v.object({ value: v.unknown() })

/** A tag as entries carry it: `template:tpl_…`. */
export const OneTag = v.object({
  tag: v.pipe(v.string(), v.regex(/^[\w:.-]{1,200}$/, 'must be letters, digits and : . - _')),
})
export const OneOrganization = v.object({ organization: Reference })
export type OneOrganization = v.InferOutput<typeof OneOrganization>

export const Cleared = v.object({ name: v.string(), generation: v.number(), isTold: v.boolean() })
export type Cleared = v.InferOutput<typeof Cleared>

export const WarmRequest = v.strictObject({ organization: Reference })
export const Warmed = v.object({ organization: v.string(), revision: v.string(), ms: v.number() })
export type Warmed = v.InferOutput<typeof Warmed>

/** Left out, every policy is tried at several sizes. */
export const SimulateRequest = v.strictObject({
  namespace: v.optional(Namespace),
  policy: v.optional(Policy),
  bytesMax: v.optional(whole(BYTES_MIN, BYTES_MAX)),
})
export type SimulateRequest = v.InferOutput<typeof SimulateRequest>
export const Simulations = pageOf(
  v.object({
    policy: Policy,
    bytesMax: v.number(),
    reads: v.number(),
    hitRatio: v.number(),
    evictions: v.number(),
  }),
)
export type Simulations = v.InferOutput<typeof Simulations>
