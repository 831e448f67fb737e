import type { Ceiling } from '../platform/context.ts'
import { createGiving, type Giving, isRestored } from './giving.ts'
import type { Plan } from './plan.ts'
import { isSameTime } from './plan-members.ts'
import { roleId } from './role-graph.ts'
import type { Run } from './run.ts'

/**
 * Notes what the actor may not import: what needs a permission they lack, makes or changes an owner, or gives more than
 * they hold. Each kind of object needs what its own endpoints need; what stays as it is needs nothing.
 */
export const refuseAbove = async (run: Run, ceiling: Ceiling, plan: Plan): Promise<void> => {
  refuseUnpermitted(run, ceiling, plan)
  const giving = await createGiving(run, ceiling, plan)
  for (const { index, after, changed } of plan.roles.changes) {
    await run.pace()
    if (changed) refuse(run, giving.missingOfRole(roleId(after)), `/roles/${index}/permissions`)
  }
  await refuseMembers(run, ceiling, plan, giving)
  await refuseTeams(run, plan, giving)
  for (const { grant, pointer } of plan.membershipRoles.added) {
    await run.pace()
    refuse(run, giving.missingOfGrant(grant), pointer)
  }
  for (const { index, before, after, changed } of plan.grants) {
    await run.pace()
    if (!changed) continue
    // Moving the end of a refusal gives something, too.
    const gives = before ? !isSameTime(before.expiresAt, after.expiresAt) : after.effect === 'allow'
    const member = after.permission === null ? 'role' : 'permission'
    if (gives) refuse(run, giving.missingOfGrant(after), `/grants/${index}/${member}`)
  }
}

const refuse = ({ faults }: Run, missing: string | undefined, pointer: string) => {
  if (missing !== undefined)
    faults.add(pointer, `You do not hold ${missing} there, so you cannot give it.`)
}

const refuseMembers = async (run: Run, ceiling: Ceiling, { members }: Plan, giving: Giving) => {
  for (const { index, before, after } of members.changes) {
    await run.pace()
    const isOwnersAlone = after.isOwner && !(before?.isOwner && before.status === after.status)
    if (isOwnersAlone && !ceiling.mayGiveOwnership)
      run.faults.add(`/members/${index}`, 'Only an owner may make, change or remove an owner.')
    if (isRestored(before, after))
      refuse(run, giving.missingOfMember(after.subject), `/members/${index}`)
  }
}

const refuseTeams = async (run: Run, { teams }: Plan, giving: Giving) => {
  for (const { index, before, after } of teams.changes) {
    await run.pace()
    if (after.parent !== null && after.parent !== before?.parent)
      refuse(run, giving.missingOfTeam(after.parent), `/teams/${index}/parent`)
  }
  for (const { team, pointer } of teams.joining) {
    await run.pace()
    refuse(run, giving.missingOfTeam(team), pointer)
  }
}

/** The permission that the endpoint of each object asks for. The first object in want of it is named. */
const refuseUnpermitted = (
  { faults, organizationId }: Run,
  ceiling: Ceiling,
  { roles, workspaces, members, teams, resources, grants, membershipRoles }: Plan,
) => {
  const asked = new Set<string>()
  const need = (permission: string, pointer: string, workspaceId: string | null = null) => {
    const key = `${permission} ${workspaceId}`
    if (asked.has(key)) return
    asked.add(key)
    if (!ceiling.holds({ permission, place: { organizationId, workspaceId } }))
      faults.add(pointer, `This needs the permission ${permission}.`)
  }
  for (const { index, before, changed } of roles.changes)
    if (changed) need(before ? 'role:update' : 'role:create', `/roles/${index}`)
  for (const { index, before, after } of workspaces.changes) {
    if (!before) need('workspace:create', `/workspaces/${index}`)
    else if (before.name !== after.name) need('workspace:update', `/workspaces/${index}`, after.id)
  }
  for (const { index, before, changed } of members.changes)
    if (changed) need(before ? 'org:member:role:update' : 'org:member:invite', `/members/${index}`)
  for (const { index, changed } of teams.changes)
    if (changed) need('team:manage', `/teams/${index}`)
  for (const { index, changed } of resources.changes)
    if (changed) need('resource:manage', `/resources/${index}`)
  for (const { index, changed } of grants) if (changed) need('role:assign', `/grants/${index}`)
  const managed = new Set([
    ...membershipRoles.added.map(({ grant }) => grant.workspaceId),
    ...membershipRoles.removed.map(({ workspaceId }) => workspaceId),
  ])
  for (const { index, after } of workspaces.changes)
    if (managed.has(after.id))
      need('workspace:member:manage', `/workspaces/${index}/members`, after.id)
}
