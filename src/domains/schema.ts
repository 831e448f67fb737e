import * as v from 'valibot'
import { Reference, RoleName } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'
import { normalDomain } from './name.ts'

const ENROLLMENTS = ['manual', 'suggest', 'auto_join'] as const

export const Domain = v.object({
  domain: v.string(),
  state: v.picklist(['pending', 'verified', 'lapsed']),
  enrollment: v.picklist(ENROLLMENTS),
  role: v.nullable(v.string()),
  record: v.object({ type: v.literal('TXT'), name: v.string(), value: v.string() }),
  failures: v.number(),
  verifiedAt: v.nullable(v.string()),
  checkedAt: v.nullable(v.string()),
  createdAt: v.string(),
  version: v.number(),
})
export type Domain = v.InferOutput<typeof Domain>

const DomainName = v.pipe(
  v.string(),
  v.check((text) => normalDomain(text) !== undefined, 'must be the name of a domain'),
  v.transform((text) => normalDomain(text)!),
)

export const ClaimDomain = v.strictObject({ domain: DomainName })
export type ClaimDomain = v.InferOutput<typeof ClaimDomain>

export const OneDomain = v.object({ domain: DomainName })
export type OneDomain = v.InferOutput<typeof OneDomain>

export const PatchDomain = v.strictObject({
  enrollment: v.optional(v.picklist(ENROLLMENTS, 'must be manual, suggest or auto_join')),
  role: v.optional(RoleName),
})
export type PatchDomain = OneDomain & v.InferOutput<typeof PatchDomain>

export const ListDomains = v.strictObject(Page)
export type ListDomains = v.InferOutput<typeof ListDomains>

export const JoinByDomain = v.strictObject({ organization: Reference })
export type JoinByDomain = v.InferOutput<typeof JoinByDomain>

const Organization = v.object({ id: v.string(), slug: v.string(), name: v.string() })

export const Joined = v.object({
  organization: Organization,
  member: v.object({ subject: v.string(), roles: v.array(v.string()) }),
})
export type Joined = v.InferOutput<typeof Joined>

/** An organization whose domain is that of the caller's address, and whether the caller may join by itself. */
export const Suggestion = v.object({
  organization: Organization,
  domain: v.string(),
  mayJoin: v.boolean(),
})
export type Suggestion = v.InferOutput<typeof Suggestion>
