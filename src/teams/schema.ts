import * as v from 'valibot'
import { Member, Name, Slug } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'

export const Team = v.object({
  slug: v.string(),
  name: v.string(),
  parent: v.nullable(v.string()),
  version: v.number(),
  createdAt: v.string(),
  updatedAt: v.string(),
})
export type Team = v.InferOutput<typeof Team>

export const OneTeam = v.object({ team: Slug })
export const PutTeam = v.strictObject({
  name: v.optional(Name),
  parent: v.optional(v.nullable(Slug)),
})
export type PutTeam = { team: string } & v.InferOutput<typeof PutTeam>

export const ListTeams = v.strictObject({ parent: v.optional(Slug), ...Page })
export type ListTeams = v.InferOutput<typeof ListTeams>

export const TeamMember = v.object({ subject: v.string() })
export const OneTeamMember = v.object({ team: Slug, user: Member })
export type OneTeamMember = v.InferOutput<typeof OneTeamMember>
export const ListTeamMembers = v.strictObject(Page)
export type ListTeamMembers = { team: string } & v.InferOutput<typeof ListTeamMembers>
