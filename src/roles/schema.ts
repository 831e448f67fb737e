import * as v from 'valibot'
import { Description, PermissionKey, RoleName, Scope, textUpTo } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'

/** CEL; checked when written (docs/conditions.md). */
export const Condition = v.pipe(textUpTo(1024), v.nonEmpty('must not be empty'))

/** A permission of a role, alone or with the condition it is held under. */
export const HeldPermission = v.union([
  PermissionKey,
  v.strictObject({ permission: PermissionKey, condition: v.optional(v.nullable(Condition)) }),
])

export const Role = v.object({
  name: RoleName,
  scope: Scope,
  description: v.string(),
  builtIn: v.boolean(),
  holdsEveryPermission: v.boolean(),
  permissions: v.array(
    v.union([v.string(), v.object({ permission: v.string(), condition: v.string() })]),
  ),
  inherits: v.array(v.string()),
  version: v.number(),
  createdAt: v.string(),
  updatedAt: v.string(),
})
export type Role = v.InferOutput<typeof Role>

const entries = {
  permissions: v.pipe(
    v.array(HeldPermission),
    v.maxLength(500, 'must list at most 500 permissions'),
  ),
  inherits: v.optional(
    v.pipe(v.array(RoleName), v.maxLength(50, 'must list at most 50 roles')),
    [],
  ),
  scope: v.optional(v.picklist(['organization', 'workspace'], 'must be organization or workspace')),
  description: v.optional(Description, ''),
}

export const OneRole = v.object({ name: RoleName })
export const PutRole = v.strictObject(entries)
export type PutRole = v.InferOutput<typeof PutRole> & v.InferOutput<typeof OneRole>

export const ListRoles = v.strictObject({
  scope: v.optional(v.picklist(['organization', 'workspace'])),
  ...Page,
})
export type ListRoles = v.InferOutput<typeof ListRoles>

export const DeleteRole = v.strictObject({ replacement: v.optional(RoleName) })
export type DeleteRole = v.InferOutput<typeof DeleteRole> & v.InferOutput<typeof OneRole>

export const CopyRole = v.strictObject({ name: RoleName, description: v.optional(Description) })
export type CopyRole = { source: string } & v.InferOutput<typeof CopyRole>

const Compared = v.array(v.object({ permission: v.string(), condition: v.nullable(v.string()) }))
/** Two roles as sets of what they give, inherited permissions included: by sets, never by names or by position. */
export const RoleComparison = v.object({
  onlyLeft: Compared,
  onlyRight: Compared,
  both: Compared,
  /** Which of the two gives no more than the other. */
  relation: v.picklist(['equal', 'left-within-right', 'right-within-left', 'neither']),
})
export type RoleComparison = v.InferOutput<typeof RoleComparison>
export const TwoRoles = v.object({ name: RoleName, other: RoleName })
export type TwoRoles = v.InferOutput<typeof TwoRoles>

export const RoleHistory = v.object({
  event: v.string(),
  at: v.string(),
  actor: v.string(),
  before: v.optional(v.unknown()),
  after: v.optional(v.unknown()),
})
export const ListHistory = v.strictObject(Page)
export type ListHistory = v.InferOutput<typeof ListHistory> & v.InferOutput<typeof OneRole>
