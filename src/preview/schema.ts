import * as v from 'valibot'
import { CreateGrant, GrantId } from '../grants/schema.ts'
import { PatchMember, Roles } from '../members/schema.ts'
import { Member, Reference, RoleName, Slug } from '../permissions/schema.ts'
import { PutRole } from '../roles/schema.ts'

const kind = <Name extends string>(name: Name) => ({ kind: v.literal(name) })

/** A change that is not made: the body of its own endpoint, with what the path names there. */
export const Change = v.variant('kind', [
  v.strictObject({ ...kind('role'), name: RoleName, ...PutRole.entries }),
  v.strictObject({ ...kind('role-deleted'), name: RoleName, replacement: v.optional(RoleName) }),
  v.strictObject({ ...kind('grant'), grant: CreateGrant }),
  v.strictObject({ ...kind('grant-deleted'), id: GrantId }),
  v.strictObject({ ...kind('member'), user: Member, ...PatchMember.entries, roles: Roles }),
  v.strictObject({ ...kind('member-deleted'), user: Member }),
  v.strictObject({
    ...kind('team'),
    team: Slug,
    parent: v.optional(v.nullable(Slug)),
  }),
  v.strictObject({ ...kind('team-deleted'), team: Slug }),
  v.strictObject({ ...kind('team-member'), team: Slug, user: Member }),
  v.strictObject({ ...kind('team-member-deleted'), team: Slug, user: Member }),
  v.strictObject({
    ...kind('workspace-member'),
    workspace: Reference,
    user: Member,
    roles: Roles,
  }),
])
export type Change = v.InferOutput<typeof Change>

export const PreviewRequest = v.strictObject({ change: Change })
export type PreviewRequest = v.InferOutput<typeof PreviewRequest>

/** One permission that one subject gains or loses. */
const Moved = v.object({
  subject: v.string(),
  permission: v.string(),
  workspace: v.nullable(v.string()),
  resource: v.nullable(v.string()),
  /** Held, or lost, under a condition that does not hold at this moment. */
  underCondition: v.boolean(),
})

export const PreviewAnswer = v.object({
  /** Whether the caller could make the change now. */
  possible: v.boolean(),
  problem: v.nullable(
    v.object({ code: v.string(), detail: v.string(), permission: v.nullable(v.string()) }),
  ),
  /** Whether everything that is given is held by the caller. */
  ceilingKept: v.boolean(),
  /** Whether an active owner would remain. */
  ownerKept: v.boolean(),
  /** Whether seats and other limits of the plan suffice. */
  limitsKept: v.boolean(),
  gains: v.array(Moved),
  loses: v.array(Moved),
  subjectsGaining: v.number(),
  subjectsLosing: v.number(),
  /** False where more subjects are concerned than are compared, or more differences than are listed. */
  complete: v.boolean(),
})
export type PreviewAnswer = v.InferOutput<typeof PreviewAnswer>
