import * as v from 'valibot'
import { Name, PermissionKey, RoleName, Timestamp } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'

export const ApiKey = v.object({
  id: v.string(),
  name: v.string(),
  /** The member of a personal key. */
  member: v.nullable(v.string()),
  roles: v.array(v.string()),
  permissions: v.array(v.string()),
  createdBy: v.string(),
  createdAt: v.string(),
  expiresAt: v.nullable(v.string()),
  revokedAt: v.nullable(v.string()),
  lastUsedAt: v.nullable(v.string()),
  version: v.number(),
})
export type ApiKey = v.InferOutput<typeof ApiKey>

/** With the secret, which is shown once; a repeated request (Idempotency-Key) does not show it again. */
export const NewApiKey = v.object({ ...ApiKey.entries, secret: v.optional(v.string()) })

const Holds = {
  roles: v.optional(v.pipe(v.array(RoleName), v.maxLength(50)), []),
  permissions: v.optional(v.pipe(v.array(PermissionKey), v.maxLength(200)), []),
}

export const CreateApiKey = v.pipe(
  v.strictObject({
    name: Name,
    ...Holds,
    personal: v.optional(v.boolean(), false),
    expiresAt: v.optional(v.nullable(Timestamp)),
  }),
  v.check(
    ({ personal, roles, permissions }) => personal || roles.length + permissions.length > 0,
    'must have roles or permissions, unless it is personal',
  ),
)
export type CreateApiKey = v.InferOutput<typeof CreateApiKey>

export const ApiKeyId = v.pipe(
  v.string(),
  v.regex(/^key_[0-9a-z]{26}$/, 'must be the id of an API key'),
)
export const OneApiKey = v.object({ id: ApiKeyId })
export type OneApiKey = v.InferOutput<typeof OneApiKey>

export const RotateApiKey = v.strictObject({
  /** How long the old secret is still accepted, so that services can be moved one by one. */
  overlapSeconds: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(604_800)),
    0,
  ),
})
export type RotateApiKey = OneApiKey & v.InferOutput<typeof RotateApiKey>

export const ListApiKeys = v.strictObject(Page)
export type ListApiKeys = v.InferOutput<typeof ListApiKeys>
