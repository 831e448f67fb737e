import * as v from 'valibot'
import { DecisionCode } from '../decisions/schema.ts'
import {
  PermissionKey,
  Reference,
  ResourceReference,
  ResourceType,
  Subject,
} from '../permissions/schema.ts'

/** A search is a question with one part left open; paged in the body, since it may be long. */
const Paging = {
  limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000)), 50),
  cursor: v.optional(v.pipe(v.string(), v.maxLength(2048))),
}
const Place = { workspace: v.optional(v.nullable(Reference)) }

export const SearchPermissions = v.strictObject({
  subject: Subject,
  resource: v.optional(v.nullable(ResourceReference)),
  ...Place,
  ...Paging,
})
export type SearchPermissions = v.InferOutput<typeof SearchPermissions>

export const SearchSubjects = v.strictObject({
  permission: PermissionKey,
  resource: v.optional(v.nullable(ResourceReference)),
  ...Place,
  ...Paging,
})
export type SearchSubjects = v.InferOutput<typeof SearchSubjects>

export const SearchResources = v.strictObject({
  subject: Subject,
  permission: PermissionKey,
  type: v.optional(ResourceType),
  ...Place,
  ...Paging,
})
export type SearchResources = v.InferOutput<typeof SearchResources>

/** What was found, and why it is allowed. */
const Why = { reason: v.string(), code: DecisionCode }
const foundOf = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.object({
    items: v.array(v.object({ ...entries, ...Why })),
    nextCursor: v.nullable(v.string()),
    /** False where there may be more, behind the cursor. */
    complete: v.boolean(),
    revision: v.string(),
  })
export const FoundPermissions = foundOf({ permission: v.string() })
export const FoundSubjects = foundOf({ subject: v.string() })
export const FoundResources = foundOf({ resource: v.string() })
