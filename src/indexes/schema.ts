import * as v from 'valibot'
import { textUpTo } from '../permissions/schema.ts'
import { idOf } from '../platform/id.ts'
import { Page } from '../platform/page.ts'

/** Where a recommendation can stand; of a drop `creating` says that it is under way, `active` that the index is gone. */
export const STATUSES = [
  ...['proposed', 'dismissed', 'approved', 'creating', 'active', 'failed', 'reverting'],
  'reverted',
] as const
export type Status =
  | 'proposed'
  | 'dismissed'
  | 'approved'
  | 'creating'
  | 'active'
  | 'failed'
  | 'reverting'
  | 'reverted'

export const VERDICTS = ['pending', 'helps', 'no-gain', 'makes-a-query-slower', 'unused'] as const
export type Verdict = (typeof VERDICTS)[number]

/** How far a build is: the phase as PostgreSQL names it, and the share of all work, 0 to 1. */
export const Progress = v.object({ phase: v.string(), share: v.number() })
export type Progress = v.InferOutput<typeof Progress>

/** A piece of advice with what was made of it. */
export const RegisterEntry = v.object({
  id: v.string(),
  kind: v.picklist(['create', 'drop']),
  schema: v.string(),
  table: v.string(),
  index: v.string(),
  definition: v.string(),
  statement: v.string(),
  /** What makes it undone: of what was built or dropped, as the catalog wrote it. */
  undo: v.string(),
  code: v.nullable(v.string()),
  reason: v.string(),
  status: v.picklist(STATUSES),
  statusReason: v.nullable(v.string()),
  /** Until when a drop that was approved waits. */
  holdUntil: v.nullable(v.string()),
  jobId: v.nullable(v.string()),
  attempts: v.number(),
  progress: v.nullable(Progress),
  bytes: v.number(),
  bytesBuilt: v.nullable(v.number()),
  buildMs: v.nullable(v.number()),
  verdict: v.nullable(v.picklist(VERDICTS)),
  verification: v.nullable(v.unknown()),
  decidedBy: v.nullable(v.string()),
  decidedAt: v.nullable(v.string()),
  builtAt: v.nullable(v.string()),
  endedAt: v.nullable(v.string()),
  createdAt: v.string(),
  updatedAt: v.string(),
  version: v.number(),
})
export type RegisterEntry = Omit<v.InferOutput<typeof RegisterEntry>, 'status'> & { status: Status }

export const MARKS = ['unused', 'duplicate', 'invalid', 'advised'] as const
export type Mark = (typeof MARKS)[number]

/** An index of the database as its catalog has it, and the advice that it came of or that is about it. */
export const DatabaseIndex = v.object({
  schema: v.string(),
  table: v.string(),
  index: v.string(),
  method: v.string(),
  definition: v.string(),
  bytes: v.number(),
  scans: v.number(),
  /** Since when scans are counted; null where that is not known. */
  countedSince: v.nullable(v.string()),
  isUnique: v.boolean(),
  /** Whether a constraint, replication or a partition's parent needs it: it is no candidate for going. */
  isNeeded: v.boolean(),
  isValid: v.boolean(),
  marks: v.array(v.picklist(MARKS)),
  /** The index of the same table that is the same; null where this is none's duplicate. */
  duplicateOf: v.nullable(v.string()),
  recommendation: v.nullable(
    v.object({
      id: v.string(),
      kind: v.picklist(['create', 'drop']),
      status: v.picklist(STATUSES),
      verdict: v.nullable(v.picklist(VERDICTS)),
    }),
  ),
})
export type DatabaseIndex = v.InferOutput<typeof DatabaseIndex>

export const ListIndexes = v.strictObject({
  mark: v.optional(v.picklist(MARKS, 'must be unused, duplicate, invalid or advised')),
  /** With its schema, as in `public.orders`, or without. */
  table: v.optional(v.pipe(textUpTo(200), v.nonEmpty('must not be empty'))),
  ...Page,
})
export type ListIndexes = v.InferOutput<typeof ListIndexes>

/** What was advised, and the index as it is now; null where there is none of that name. */
export const OneRegistered = v.object({
  ...RegisterEntry.entries,
  current: v.nullable(
    v.object({
      isValid: v.boolean(),
      bytes: v.number(),
      scans: v.number(),
      definition: v.string(),
    }),
  ),
})

export const RecommendationId = idOf('rec')
export const OneEntry = v.object({ id: RecommendationId })
export type OneEntry = v.InferOutput<typeof OneEntry>

/** One sign of a build that is watched. */
export type ProgressEvent =
  | { event: 'heartbeat' }
  | {
      event: 'progress' | 'end'
      id: string
      data: { status: Status; reason: string | null; phase: string | null; share: number | null }
    }
