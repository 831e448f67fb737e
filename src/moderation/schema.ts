import * as v from 'valibot'
import { Reference, textUpTo } from '../permissions/schema.ts'
import { idOf } from '../platform/id.ts'
import { Page } from '../platform/page.ts'

/** Why something is refused or withdrawn; told in public. */
export const REASON_CODES = [
  ...['malware', 'secrets', 'impersonation', 'licence', 'misleading', 'broken', 'unsafe', 'spam'],
  ...['illegal', 'policy', 'appeal-unfounded', 'other'],
] as const
const ReasonCode = v.picklist(REASON_CODES)
const Note = textUpTo(4000)
const Kind = v.picklist(['submission', 'edit', 'report', 'appeal'])
const State = v.picklist(['open', 'approved', 'rejected', 'withdrawn'])

export const OneCase = v.object({ case: idOf('cas') })
export const OneTemplate = v.object({ template: idOf('tpl') })
export const OneVersion = v.object({ version: idOf('ver') })
export const OnePublisher = v.object({ organization: Reference })
export const OneCategory = v.object({
  category: v.pipe(v.string(), v.regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a slug')),
})
export const OneRating = v.object({
  template: idOf('tpl'),
  subject: v.pipe(v.string(), v.maxLength(512)),
})

const caseMembers = {
  id: v.string(),
  kind: Kind,
  state: State,
  template: v.object({ id: v.string(), name: v.string(), handle: v.nullable(v.string()) }),
  version: v.nullable(v.string()),
  reasonCode: v.nullable(v.string()),
  note: v.nullable(v.string()),
  openedBy: v.string(),
  openedAt: v.string(),
  decidedBy: v.nullable(v.string()),
  decidedAt: v.nullable(v.string()),
  decisionNote: v.nullable(v.string()),
}

/** A case in the queue. */
export const CaseSummary = v.object(caseMembers)
export type CaseSummary = v.InferOutput<typeof CaseSummary>

/** A case with all a moderator needs to decide it. */
export const Case = v.object({
  ...caseMembers,
  checks: v.array(v.record(v.string(), v.unknown())),
  proposed: v.nullable(v.record(v.string(), v.unknown())),
  /** Of a submission: what would be approved. */
  submitted: v.nullable(
    v.object({
      integrity: v.string(),
      sizeBytes: v.number(),
      capabilities: v.array(v.string()),
      inputs: v.array(v.unknown()),
      changelog: v.string(),
      definition: v.record(v.string(), v.unknown()),
    }),
  ),
  /** Against the newest version that was approved before. */
  difference: v.nullable(
    v.object({
      from: v.string(),
      capabilities: v.object({ added: v.array(v.string()), removed: v.array(v.string()) }),
      isContentEqual: v.boolean(),
    }),
  ),
  /** Other cases of the same template, the newest first. */
  history: v.array(CaseSummary),
})
export type Case = v.InferOutput<typeof Case>

export const ListCases = v.strictObject({
  kind: v.optional(Kind),
  state: v.optional(State),
  template: v.optional(idOf('tpl')),
  publisher: v.optional(Reference),
  ...Page,
})
export type ListCases = v.InferOutput<typeof ListCases>

/** What is approved is the bytes that were seen: their hash comes back. */
export const ApproveCase = v.strictObject({
  integrity: v.optional(v.pipe(v.string(), v.maxLength(64))),
  note: v.optional(Note),
})
export type ApproveCase = v.InferOutput<typeof ApproveCase>

/** A refusal always says why. */
export const Refusal = v.strictObject({ reasonCode: ReasonCode, note: Note })
export type Refusal = v.InferOutput<typeof Refusal>

/** Blocks a version; with `quarantine` everything that was made from it is denied until that is lifted, too. */
export const Block = v.strictObject({
  ...Refusal.entries,
  quarantine: v.optional(v.boolean(), false),
})
export type Block = v.InferOutput<typeof Block>

export const Lifting = v.strictObject({ note: v.optional(Note) })
export type Lifting = v.InferOutput<typeof Lifting>

export const PutOfficial = v.strictObject({ official: v.boolean() })

export const HideRating = v.strictObject({ reasonCode: ReasonCode })

/** Somebody tells of a template. */
export const CreateReport = v.strictObject({ reasonCode: ReasonCode, note: Note })
export type CreateReport = v.InferOutput<typeof CreateReport>
export const Report = v.object({ id: v.string(), state: State, openedAt: v.string() })
export type Report = v.InferOutput<typeof Report>

/** How a template or version stands after a moderator acted. */
export const Moderated = v.object({
  template: v.string(),
  version: v.nullable(v.string()),
  listing: v.string(),
  status: v.nullable(v.string()),
  isOfficial: v.boolean(),
  removal: v.nullable(v.string()),
})
export type Moderated = v.InferOutput<typeof Moderated>

export const ModeratedPublisher = v.object({
  handle: v.string(),
  status: v.string(),
  verifiedAt: v.nullable(v.string()),
  verifiedBy: v.nullable(v.string()),
})
export type ModeratedPublisher = v.InferOutput<typeof ModeratedPublisher>

export const PutCategory = v.strictObject({
  name: v.pipe(
    textUpTo(80),
    v.check<string, string>((text) => text.trim() !== '', 'must not be blank'),
  ),
  parent: v.optional(v.nullable(OneCategory.entries.category)),
})
export type PutCategory = v.InferOutput<typeof PutCategory>
export const Category = v.object({
  slug: v.string(),
  number: v.number(),
  name: v.string(),
  parent: v.nullable(v.string()),
})
export type Category = v.InferOutput<typeof Category>
export const DeleteCategory = v.strictObject({ replacement: OneCategory.entries.category })

/** What was removed, told to everybody. */
export const Removal = v.object({
  id: v.string(),
  template: v.string(),
  name: v.string(),
  publisher: v.string(),
  version: v.nullable(v.string()),
  reasonCode: v.string(),
  note: v.string(),
  at: v.string(),
  liftedAt: v.nullable(v.string()),
})
export type Removal = v.InferOutput<typeof Removal>
export const ListRemovals = v.strictObject({ ...Page })
export type ListRemovals = v.InferOutput<typeof ListRemovals>

/** How the queue stands, and how it was decided in the last 90 days. */
export const Stats = v.object({
  open: v.array(v.object({ kind: Kind, cases: v.number(), oldestAgeSeconds: v.number() })),
  decisions: v.array(
    v.object({ kind: Kind, state: State, reasonCode: v.nullable(v.string()), cases: v.number() }),
  ),
  moderators: v.array(
    v.object({ moderator: v.string(), cases: v.number(), medianHours: v.number() }),
  ),
  appeals: v.object({ decided: v.number(), turned: v.number() }),
})
export type Stats = v.InferOutput<typeof Stats>
