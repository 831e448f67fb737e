import * as v from 'valibot'
import { Member, Name, Slug, textUpTo } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'

export const Organization = v.object({
  id: v.string(),
  slug: v.string(),
  name: v.string(),
  description: v.string(),
  logo: v.nullable(v.string()),
  status: v.picklist(['active', 'read_only', 'suspended', 'pending_deletion']),
  statusReason: v.nullable(v.string()),
  plan: v.string(),
  deleteAfter: v.nullable(v.string()),
  version: v.number(),
  createdAt: v.string(),
  updatedAt: v.string(),
})
export type Organization = v.InferOutput<typeof Organization>

const LongDescription = textUpTo(2000)
const Logo = v.pipe(textUpTo(2000), v.regex(/^https:\/\//, 'must be an https address'))

export const CreateOrganization = v.strictObject({
  name: Name,
  slug: v.optional(Slug),
  description: v.optional(LongDescription, ''),
  owner: v.optional(Member),
})
export type CreateOrganization = v.InferOutput<typeof CreateOrganization>

export const PatchOrganization = v.strictObject({
  name: v.optional(Name),
  slug: v.optional(Slug),
  description: v.optional(LongDescription),
  logo: v.optional(v.nullable(Logo)),
})
export type PatchOrganization = v.InferOutput<typeof PatchOrganization>

export const SuspendOrganization = v.strictObject({
  level: v.optional(
    v.picklist(['read_only', 'suspended'], 'must be read_only or suspended'),
    'suspended',
  ),
  reason: v.pipe(textUpTo(500), v.trim(), v.nonEmpty('must not be empty')),
})
export type SuspendOrganization = v.InferOutput<typeof SuspendOrganization>

export const ListOrganizations = v.strictObject(Page)
export type ListOrganizations = v.InferOutput<typeof ListOrganizations>
