import * as v from 'valibot'
import { Roles } from '../members/schema.ts'
import { Member, Name, Slug } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'

export const Workspace = v.object({
  id: v.string(),
  slug: v.string(),
  name: v.string(),
  version: v.number(),
  createdAt: v.string(),
  updatedAt: v.string(),
})
export type Workspace = v.InferOutput<typeof Workspace>

export const CreateWorkspace = v.strictObject({ name: Name, slug: v.optional(Slug) })
export type CreateWorkspace = v.InferOutput<typeof CreateWorkspace>

export const PatchWorkspace = v.strictObject({ name: v.optional(Name), slug: v.optional(Slug) })
export type PatchWorkspace = v.InferOutput<typeof PatchWorkspace>

export const ListWorkspaces = v.strictObject(Page)
export type ListWorkspaces = v.InferOutput<typeof ListWorkspaces>

/** Deleting takes everything in it along, so it asks for the name. */
export const DeleteWorkspace = v.strictObject({ confirm: v.optional(v.string()) })

export const WorkspaceMember = v.object({ subject: v.string(), roles: v.array(v.string()) })
export type WorkspaceMember = v.InferOutput<typeof WorkspaceMember>

export const OneWorkspaceMember = v.object({ user: Member })
export const PutWorkspaceMember = v.strictObject({
  roles: v.pipe(
    Roles,
    v.check((roles) => !roles.includes('owner'), 'owner is of the organization'),
  ),
})
export type PutWorkspaceMember = { user: string } & v.InferOutput<typeof PutWorkspaceMember>
