import * as v from 'valibot'
import { Roles } from '../members/schema.ts'
import { Slug } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'
import { PutWorkspaceMember } from '../workspaces/schema.ts'

export const STATUSES = ['pending', 'accepted', 'declined', 'revoked', 'expired'] as const

const RolesIn = v.object({ workspace: v.string(), roles: v.array(v.string()) })

/** An invitation as it is shown: never with its token. */
export const Invitation = v.object({
  id: v.string(),
  email: v.string(),
  roles: v.array(v.string()),
  workspaces: v.array(RolesIn),
  status: v.picklist(STATUSES),
  invitedBy: v.string(),
  acceptedBy: v.nullable(v.string()),
  sentCount: v.number(),
  sentAt: v.nullable(v.string()),
  createdAt: v.string(),
  expiresAt: v.string(),
  endedAt: v.nullable(v.string()),
  version: v.number(),
})
export type Invitation = v.InferOutput<typeof Invitation>

/** Lower case: an address is compared as its mail server compares it in practice. */
export const Email = v.pipe(
  v.string(),
  v.trim(),
  v.maxLength(254, 'must have at most 254 characters'),
  v.email('must be an e-mail address'),
  v.toLowerCase(),
)

/** Roles in a workspace: at least one, and never ownership, which is of the organization. */
const RolesThere = v.pipe(
  PutWorkspaceMember.entries.roles,
  v.minLength(1, 'must name at least one role'),
)
const WorkspaceRoles = v.strictObject({ workspace: v.string(), roles: RolesThere })

export const CreateInvitation = v.strictObject({
  email: Email,
  roles: v.optional(Roles, ['member']),
  workspaces: v.optional(v.pipe(v.array(WorkspaceRoles), v.maxLength(50)), []),
})
export type CreateInvitation = v.InferOutput<typeof CreateInvitation>

/** Of a workspace: its roles, and none of the organization. */
export const CreateWorkspaceInvitation = v.strictObject({ email: Email, roles: RolesThere })
export type CreateWorkspaceInvitation = v.InferOutput<typeof CreateWorkspaceInvitation>

export const ListInvitations = v.strictObject({
  status: v.optional(v.picklist(STATUSES)),
  ...Page,
})
export type ListInvitations = v.InferOutput<typeof ListInvitations>

export const OneInvitation = v.object({ invitation: v.string() })

/** A table of addresses: `email,roles,workspaces`, roles apart by blanks, workspaces as `lab=user lab=guest`. */
export const BulkInvitations = v.strictObject({
  csv: v.pipe(v.string(), v.maxLength(500_000, 'must have at most 500,000 characters')),
})
export const BulkReport = v.object({
  invited: v.number(),
  refused: v.number(),
  lines: v.array(
    v.object({
      line: v.number(),
      email: v.string(),
      invitation: v.nullable(v.string()),
      code: v.nullable(v.string()),
      detail: v.nullable(v.string()),
    }),
  ),
})
export type BulkReport = v.InferOutput<typeof BulkReport>

/** What an invitation's mail carries: 32 random bytes, URL-safe. */
export const Token = v.strictObject({
  token: v.pipe(v.string(), v.regex(/^[\w-]{43}$/, 'must be the token of an invitation')),
})

export const Accepted = v.object({
  organization: v.object({ id: v.string(), slug: Slug, name: v.string() }),
  member: v.object({ subject: v.string(), roles: v.array(v.string()) }),
})
export type Accepted = v.InferOutput<typeof Accepted>
