import * as v from 'valibot'
import {
  PermissionKey,
  Reference,
  ResourceReference,
  RoleName,
  Subject,
  Timestamp,
  textUpTo,
} from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'
import { Condition } from '../roles/schema.ts'

export const GrantId = v.pipe(
  v.string(),
  v.regex(/^grt_[0-9a-z]{26}$/, 'must be the id of a grant'),
)

const Reason = textUpTo(280)

/** Who holds which role or permission, where, until when, under which condition; given or refused. */
export const Grant = v.object({
  id: v.string(),
  subject: v.string(),
  role: v.nullable(v.string()),
  permission: v.nullable(v.string()),
  workspace: v.nullable(v.string()),
  resource: v.nullable(v.string()),
  effect: v.picklist(['allow', 'deny']),
  condition: v.nullable(v.string()),
  expiresAt: v.nullable(v.string()),
  reason: v.nullable(v.string()),
  grantedBy: v.string(),
  createdAt: v.string(),
  version: v.number(),
})
export type Grant = v.InferOutput<typeof Grant>

export const CreateGrant = v.pipe(
  v.strictObject({
    subject: Subject,
    role: v.optional(RoleName),
    permission: v.optional(PermissionKey),
    workspace: v.optional(v.nullable(Reference)),
    resource: v.optional(v.nullable(ResourceReference)),
    effect: v.optional(v.picklist(['allow', 'deny'], 'must be allow or deny'), 'allow'),
    condition: v.optional(v.nullable(Condition)),
    expiresAt: v.optional(v.nullable(Timestamp)),
    reason: v.optional(v.nullable(Reason)),
  }),
  v.check(
    ({ role, permission }) => !role !== !permission,
    'must have exactly one of role and permission',
  ),
)
export type CreateGrant = v.InferOutput<typeof CreateGrant>

export const PatchGrant = v.strictObject({
  condition: v.optional(v.nullable(Condition)),
  expiresAt: v.optional(v.nullable(Timestamp)),
  reason: v.optional(v.nullable(Reason)),
})
export type PatchGrant = { id: string } & v.InferOutput<typeof PatchGrant>

export const OneGrant = v.object({ id: GrantId })
export type OneGrant = v.InferOutput<typeof OneGrant>

export const ListGrants = v.strictObject({
  subject: v.optional(Subject),
  resource: v.optional(ResourceReference),
  role: v.optional(RoleName),
  workspace: v.optional(Reference),
  ...Page,
})
export type ListGrants = v.InferOutput<typeof ListGrants>
