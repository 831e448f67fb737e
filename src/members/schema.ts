import * as v from 'valibot'
import { Attributes, Member, RoleName, Timestamp } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'

export const StoredMember = v.object({
  subject: v.string(),
  roles: v.array(v.string()),
  status: v.picklist(['active', 'suspended']),
  attributes: v.record(v.string(), v.unknown()),
  source: v.string(),
  expiresAt: v.nullable(v.string()),
  joinedAt: v.string(),
  version: v.number(),
})
export type StoredMember = v.InferOutput<typeof StoredMember>

export const OneMember = v.object({ user: Member })

/** Role names of organization scope; `owner` is the flag of the membership. */
export const Roles = v.pipe(
  v.array(RoleName),
  v.maxLength(100, 'must list at most 100 roles'),
  v.transform((names) => [...new Set(names)]),
)

export const PutMember = v.strictObject({
  roles: Roles,
  status: v.optional(v.picklist(['active', 'suspended'], 'must be active or suspended')),
  attributes: v.optional(Attributes),
  expiresAt: v.optional(v.nullable(Timestamp)),
})
export type PutMember = { user: string } & v.InferOutput<typeof PutMember>

export const PatchMember = v.strictObject({
  roles: v.optional(Roles),
  status: v.optional(v.picklist(['active', 'suspended'], 'must be active or suspended')),
  attributes: v.optional(Attributes),
  expiresAt: v.optional(v.nullable(Timestamp)),
})
export type PatchMember = { user: string } & v.InferOutput<typeof PatchMember>

export const ListMembers = v.strictObject({
  status: v.optional(v.picklist(['active', 'suspended'])),
  role: v.optional(RoleName),
  ...Page,
})
export type ListMembers = v.InferOutput<typeof ListMembers>
