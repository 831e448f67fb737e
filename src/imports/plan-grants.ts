import { checkCondition } from '../engine/condition.ts'
import { newId } from '../platform/id.ts'
import { type GrantIdentity, grantKey, type HeldGrants } from './held-grants.ts'
import { isSameTime, type MemberPlan } from './plan-members.ts'
import {
  type ResourcePlan,
  refuseUnknownType,
  resolveWorkspace,
  resourceOf,
  type WorkspacePlan,
} from './plan-places.ts'
import { type RolePlan, resolveRole } from './plan-roles.ts'
import type { TeamPlan } from './plan-teams.ts'
import { fits, type RoleKey } from './role-graph.ts'
import { isFirst, type Run } from './run.ts'
import type { ImportedGrant } from './schema.ts'
import type { Scope, StoredGrant } from './stored.ts'

export type PlannedGrant = GrantIdentity & {
  permissionScope: Scope | null
  expiresAt: string | null
  reason: string | null
}

/** What names in grants may mean. */
export type Known = {
  roles: RolePlan
  workspaces: WorkspacePlan
  members: MemberPlan
  teams: TeamPlan
  resources: ResourcePlan
}

/** A grant with every name in it resolved, and its place in the document. */
export type ResolvedGrant = { index: number; grant: PlannedGrant; entry: ImportedGrant }

/** The document's grants with their names resolved; whatever POST /grants refuses is a fault. */
export const resolveGrants = async (
  run: Run,
  known: Known,
  entries: readonly ImportedGrant[],
): Promise<ResolvedGrant[]> => {
  const resolved: ResolvedGrant[] = []
  const seen = new Map<string, number>()
  const conditions = new Set<string>()
  for (const [index, entry] of entries.entries()) {
    await run.pace()
    const grant = resolveGrant(run, known, { entry, index, conditions })
    if (!grant) continue
    if (isFirst(run, seen, { key: grantKey(grant), kind: 'grants', index }))
      resolved.push({ index, grant, entry })
  }
  return resolved
}

type Placed = { entry: ImportedGrant; index: number; conditions: Set<string> }

const resolveGrant = (run: Run, known: Known, placed: Placed): PlannedGrant | undefined => {
  const { entry, index } = placed
  const pointer = `/grants/${index}`
  refuseSubject(run, known, entry.subject, `${pointer}/subject`)
  refuseCondition(run, placed)
  if (entry.expiresAt && Date.parse(entry.expiresAt) <= run.nowMs)
    run.faults.add(`${pointer}/expiresAt`, 'expiresAt is in the past.')
  const resource = entry.resource ? resourceOf(entry.resource) : null
  if (resource) refuseUnknownType(run, resource.type, `${pointer}/resource`)
  const workspaceId = findPlace(run, known, entry, pointer)
  const role = roleOf(run, known.roles, entry, workspaceId, pointer)
  const permissionScope = findScope(run, entry, { workspaceId, resource, pointer })
  if (!role && permissionScope === null) return undefined
  return {
    subject: entry.subject,
    workspaceId,
    resourceType: resource?.type ?? null,
    resourceId: resource?.id ?? null,
    roleHome: role?.home ?? null,
    roleScope: role?.scope ?? null,
    roleName: role?.name ?? null,
    permission: entry.permission ?? null,
    permissionScope,
    effect: entry.effect,
    condition: entry.condition ?? null,
    expiresAt: entry.expiresAt ?? null,
    reason: entry.reason ?? null,
  }
}

const refuseSubject = (
  { faults }: Run,
  { members, teams }: Known,
  subject: string,
  pointer: string,
) => {
  const colon = subject.indexOf(':')
  const [type, id] = [subject.slice(0, colon), subject.slice(colon + 1)]
  if (type === 'role') faults.add(pointer, 'A role gets permissions by being edited.')
  if (type === 'user' && !members.known.has(subject))
    faults.add(pointer, 'Not a member of the organization.')
  if (type === 'team' && !teams.known.has(id))
    faults.add(pointer, `There is no such team.${faults.suggestion(id, teams.known)}`)
  if (type === 'key' && !members.keys.has(id)) faults.add(pointer, 'There is no such API key.')
}

/** Many grants share a condition, and checking one takes as long as a hundred others. */
const refuseCondition = ({ faults }: Run, { entry: { condition }, index, conditions }: Placed) => {
  if (!condition || conditions.has(condition)) return
  const checked = checkCondition(condition)
  if (checked.ok) conditions.add(condition)
  else faults.add(`/grants/${index}/condition`, checked.detail)
}

/** A registered resource is where the registry says, as it will be. */
const findPlace = (
  run: Run,
  { workspaces, resources }: Known,
  entry: ImportedGrant,
  pointer: string,
) => {
  const named = resolveWorkspace(run, workspaces, entry.workspace, `${pointer}/workspace`)
  const registered = entry.resource ? resources.known.get(entry.resource) : undefined
  if (!registered) return named
  if (named !== null && registered.workspaceId !== named)
    run.faults.add(
      `${pointer}/workspace`,
      'The resource is registered elsewhere; leave the workspace out.',
    )
  return registered.workspaceId
}

const roleOf = (
  { faults }: Run,
  { names }: RolePlan,
  { role: name, roleScope: scope, resource }: ImportedGrant,
  workspaceId: string | null,
  pointer: string,
): RoleKey | undefined => {
  if (scope && !name) faults.add(`${pointer}/roleScope`, 'Only a role has a scope to name.')
  if (!name) return undefined
  const wanted = { name, inWorkspace: workspaceId !== null, scope }
  const role = resolveRole(faults, names, wanted, `${pointer}/role`)
  if (!role) return undefined
  if (role.home === 'platform' && role.scope === 'organization' && role.name === 'owner')
    faults.add(`${pointer}/role`, 'Ownership is given by membership (roles: ["owner"]).')
  if (role.scope === 'workspace' && workspaceId === null && !resource)
    faults.add(`${pointer}/role`, 'A role of workspaces is held in a workspace or on a resource.')
  return role
}

const findScope = (
  { faults, permissions }: Run,
  { permission }: ImportedGrant,
  {
    workspaceId,
    resource,
    pointer,
  }: { workspaceId: string | null; resource: { type: string } | null; pointer: string },
): Scope | null => {
  if (!permission) return null
  const scope = permissions.get(permission)
  if (scope === undefined) {
    const detail = `The permission is not registered.${faults.suggestion(permission, permissions)}`
    faults.add(`${pointer}/permission`, detail)
    return null
  }
  if (resource && !permission.startsWith(`${resource.type}:`))
    faults.add(`${pointer}/permission`, 'The permission is about another resource type.')
  if (!fits(scope, workspaceId === null ? 'organization' : 'workspace'))
    faults.add(`${pointer}/permission`, 'This permission means something in a wider place only.')
  return scope
}

export type GrantChange = {
  id: string
  index: number
  before: StoredGrant | undefined
  after: PlannedGrant
  changed: boolean
}

/** What the resolved grants come to: what an entry leaves out stays as it is stored. */
export const compareGrants = async (
  run: Run,
  resolved: readonly ResolvedGrant[],
  held: HeldGrants,
): Promise<GrantChange[]> => {
  const changes: GrantChange[] = []
  for (const { index, grant, entry } of resolved) {
    await run.pace()
    const before = held.find(grant)
    const expiresAt = entry.expiresAt === undefined ? before?.expiresAt : entry.expiresAt
    const reason = entry.reason === undefined ? before?.reason : entry.reason
    const after = { ...grant, expiresAt: expiresAt ?? null, reason: reason ?? null }
    const changed =
      !before || !isSameTime(before.expiresAt, after.expiresAt) || before.reason !== after.reason
    changes.push({ id: before?.id ?? newId('grt'), index, before, after, changed })
  }
  return changes
}
