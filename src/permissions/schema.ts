import * as v from 'valibot'
import { Page } from '../platform/page.ts'

/** Bytes of UTF-8 an id of the caller's may have. */
export const ID_BYTES_MAX = 500

const encoder = new TextEncoder()

/**
 * Text of the caller's choosing: any characters, no normalization. Refused are only U+0000, which PostgreSQL's text cannot
 * hold, and lone surrogates, whose UTF-8 bytes would all be the same.
 */
const wellFormed = v.check<string, string>(
  (text) => text.isWellFormed() && !text.includes('\u0000'),
  'must be well-formed text without U+0000',
)
const shortEnough = v.check<string, string>(
  (text) =>
    text.length * 3 <= ID_BYTES_MAX ||
    (text.length <= ID_BYTES_MAX && encoder.encode(text).length <= ID_BYTES_MAX),
  `must have at most ${ID_BYTES_MAX} bytes`,
)

/** Text of the caller's choosing, within a bound. */
export const textUpTo = (charactersMax: number) =>
  v.pipe(
    v.string(),
    v.maxLength(
      charactersMax,
      `must have at most ${charactersMax.toLocaleString('en')} characters`,
    ),
    wellFormed,
  )

export const ResourceType = v.pipe(
  v.string(),
  v.regex(/^[^\s*/,:]{1,64}$/, 'must be 1 to 64 characters without blanks, *, /, comma and colon'),
  wellFormed,
)
export const ExternalId = v.pipe(
  v.string(),
  v.nonEmpty('must not be empty'),
  wellFormed,
  shortEnough,
)

const KEY_BYTES_MAX = 200

/** `type:action`; the first colon splits, so an action may hold colons and a type may not. */
export const PermissionKey = v.pipe(
  v.string(),
  v.regex(/^[^\s*/,:]{1,64}:[^\s*/,]{1,128}$/, 'must be type:action'),
  wellFormed,
  v.check(
    (key) => key.length * 3 <= KEY_BYTES_MAX || encoder.encode(key).length <= KEY_BYTES_MAX,
    `must have at most ${KEY_BYTES_MAX} bytes`,
  ),
)
/** `type:id`; the first colon splits. */
export const ResourceReference = v.pipe(
  v.string(),
  v.regex(/^[^\s*/,:]{1,64}:[\s\S]+$/, 'must be type:id'),
  wellFormed,
  shortEnough,
)
/** `user:alice`, `service:ci`, `team:eng`, `key:key_…` or another type of the caller's. */
export const Subject = v.pipe(
  v.string(),
  v.regex(/^[^\s*/,:]{1,64}:[\s\S]+$/, 'must be type:id, as user:alice'),
  wellFormed,
  shortEnough,
)
/** A member in a path or a document: `alice` is `user:alice`, anything with a type is taken whole. */
export const Member = v.pipe(
  v.string(),
  v.nonEmpty('must not be empty'),
  v.transform((text) => (/^[^\s*/,:]{1,64}:/.test(text) ? text : `user:${text}`)),
  Subject,
  v.check(
    (subject) => !/^(team|role|key):/.test(subject),
    'teams, roles and keys cannot be members',
  ),
)
export const Slug = v.pipe(
  v.string(),
  v.regex(
    /^(?!xn--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    'must be 1 to 63 lower-case letters, digits and hyphens',
  ),
)
export const Name = v.pipe(
  v.string(),
  v.trim(),
  v.nonEmpty('must not be empty'),
  v.maxLength(120, 'must have at most 120 characters'),
  wellFormed,
)
export const Description = textUpTo(500)
export const RoleName = v.pipe(
  v.string(),
  v.regex(
    /^[a-z0-9][a-z0-9._-]{0,63}$/,
    'must be 1 to 64 lower-case letters, digits, dots, hyphens and underscores',
  ),
)
/** An id or a slug in a path or a body. */
export const Reference = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$/, 'must be an id or a slug'),
)

const ATTRIBUTES_BYTES_MAX = 16_000
const LIST_LENGTH_MAX = 1000
const NESTING_MAX = 20

const isNestedUpTo = (value: unknown, levels: number): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (levels > 0 && Object.values(value).every((part) => isNestedUpTo(part, levels - 1)))

/** PostgreSQL's JSON holds neither U+0000 nor half of a surrogate pair. */
const isStorable = (json: string) =>
  !/\\u(?:0000|d[89a-f])/i.test(json) || !/(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/i.test(json)

const listsShortEnough = (value: unknown): boolean =>
  Array.isArray(value)
    ? value.length <= LIST_LENGTH_MAX && value.every(listsShortEnough)
    : typeof value !== 'object' || value === null || Object.values(value).every(listsShortEnough)

/** What conditions read as `subject.…` and `resource.…`. */
export const Attributes = v.pipe(
  v.custom<Record<string, unknown>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'must be an object',
  ),
  v.check(
    (attributes) => isNestedUpTo(attributes, NESTING_MAX),
    `must nest at most ${NESTING_MAX} levels deep`,
  ),
  v.check(
    (attributes) => encoder.encode(JSON.stringify(attributes)).length <= ATTRIBUTES_BYTES_MAX,
    `must have at most ${ATTRIBUTES_BYTES_MAX} bytes`,
  ),
  v.check(
    (attributes) => listsShortEnough(attributes),
    `lists must have at most ${LIST_LENGTH_MAX} elements`,
  ),
  v.check(
    (attributes) => isStorable(JSON.stringify(attributes)),
    'must be well-formed text without U+0000',
  ),
)

/** JavaScript takes February 30 for March 2. */
const isOnTheCalendar = (date: string) => {
  const midnight = Date.parse(`${date}T00:00:00Z`)
  return !Number.isNaN(midnight) && new Date(midnight).toISOString().startsWith(date)
}
const RFC3339 = 'must be an RFC 3339 time'

/** RFC 3339, in the one form in which times are stored and compared: UTC with milliseconds. */
export const Timestamp = v.pipe(
  v.string(),
  v.isoTimestamp(RFC3339),
  v.check((text) => isOnTheCalendar(text.slice(0, 10)) && !Number.isNaN(Date.parse(text)), RFC3339),
  v.transform((text) => new Date(text).toISOString()),
  v.regex(/^(?!0000)\d{4}-/, RFC3339),
)

export const Scope = v.picklist(['workspace', 'organization', 'platform'])
export type Scope = v.InferOutput<typeof Scope>

export const Permission = v.object({
  key: PermissionKey,
  resourceType: v.string(),
  scope: Scope,
  pack: v.string(),
  description: v.string(),
})
export type Permission = v.InferOutput<typeof Permission>

export const CreatePermission = v.strictObject({
  key: PermissionKey,
  scope: Scope,
  description: v.optional(Description, ''),
})
export type CreatePermission = v.InferOutput<typeof CreatePermission>

export const ListPermissions = v.strictObject({
  type: v.optional(ResourceType),
  pack: v.optional(textUpTo(64)),
  ...Page,
})
export type ListPermissions = v.InferOutput<typeof ListPermissions>

export const StoredResourceType = v.object({
  type: v.string(),
  strict: v.boolean(),
  description: v.string(),
})
export type StoredResourceType = v.InferOutput<typeof StoredResourceType>

export const OneResourceType = v.object({ type: ResourceType })
export const PutResourceType = v.strictObject({
  strict: v.boolean(),
  description: v.optional(Description),
})
export type PutResourceType = v.InferOutput<typeof PutResourceType> &
  v.InferOutput<typeof OneResourceType>

export const ListResourceTypes = v.strictObject(Page)
export type ListResourceTypes = v.InferOutput<typeof ListResourceTypes>
