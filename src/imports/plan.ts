import { type HeldGrants, readHeldGrants } from './held-grants.ts'
import { ROWS_MAX } from './pace.ts'
import { compareGrants, type GrantChange, type Known, resolveGrants } from './plan-grants.ts'
import { planMembers } from './plan-members.ts'
import { type MembershipRoles, planMembershipRoles } from './plan-membership-roles.ts'
import { planResources, planWorkspaces } from './plan-places.ts'
import { planRoles } from './plan-roles.ts'
import { planTeams } from './plan-teams.ts'
import type { Run } from './run.ts'
import { type Counts, type ImportDocument, type ImportReport, KINDS, type Kind } from './schema.ts'
import { findOversized } from './stored.ts'

/** Everything a document comes to, before anything is written. */
export type Plan = Known & {
  grants: GrantChange[]
  membershipRoles: MembershipRoles
  /** What those whose grants the document touches hold now. */
  held: HeldGrants
}

/** Compares a document with what is stored and resolves its names. What cannot be imported is noted as a fault. */
export const planImport = async (run: Run, document: ImportDocument): Promise<Plan> => {
  const roles = await planRoles(run, document.roles)
  const workspaces = await planWorkspaces(run, document.workspaces)
  const members = await planMembers(run, document)
  const teams = await planTeams(run, document.teams, members)
  const resources = await planResources(run, workspaces, document)
  const known: Known = { roles, workspaces, members, teams, resources }
  const resolved = await resolveGrants(run, known, document.grants)
  const held = await readHeldGrants(run, subjectsOf(document), resources.known)
  const membershipRoles = await planMembershipRoles(run, known, document.workspaces, {
    held,
    resolved,
  })
  const joined = new Set(teams.joining.map(({ team }) => team))
  for (const change of teams.changes) change.changed ||= joined.has(change.after.slug)
  await refuseOversized(run, known)
  return { ...known, grants: await compareGrants(run, resolved, held), membershipRoles, held }
}

const subjectsOf = function* ({ members, workspaces, grants }: ImportDocument) {
  for (const { user } of members) yield user
  for (const workspace of workspaces) for (const { user } of workspace.members ?? []) yield user
  for (const { subject } of grants) yield subject
}

// JSON of this length fits its row whatever it holds.
const ATTRIBUTES_LENGTH_FITTING = 2000

/** PostgreSQL stores some JSON in more bytes than it is written with; only it knows in how many. */
const refuseOversized = async (run: Run, { members, resources }: Known) => {
  const wanted = []
  for (const [kind, changes] of [
    ['members', members.changes],
    ['resources', resources.changes],
  ] as const)
    for (const { index, after, changed } of changes) {
      await run.pace()
      const { attributes } = after
      if (changed && JSON.stringify(attributes).length > ATTRIBUTES_LENGTH_FITTING)
        wanted.push({ pointer: `/${kind}/${index}/attributes`, attributes })
    }
  // Each is up to 16 kB long.
  const sliceLength = ROWS_MAX / 20
  for (let start = 0; start < wanted.length; start += sliceLength)
    for (const { pointer } of await findOversized(run.tx, wanted.slice(start, start + sliceLength)))
      run.faults.add(pointer, 'The attributes are too large.')
}

/** The changes of each list. */
export const changesOf = (
  plan: Plan,
): Record<Kind, readonly { before: unknown; changed: boolean; index: number }[]> => ({
  roles: plan.roles.changes,
  workspaces: plan.workspaces.changes,
  members: plan.members.changes,
  teams: plan.teams.changes,
  resources: plan.resources.changes,
  grants: plan.grants,
})

/** How many objects of each list are created, updated, or as they are. */
export const reportOf = (plan: Plan): ImportReport => {
  const report = { created: noCounts(), updated: noCounts(), unchanged: noCounts(), errors: [] }
  const changes = changesOf(plan)
  for (const kind of KINDS)
    for (const { before, changed } of changes[kind])
      report[before === undefined ? 'created' : changed ? 'updated' : 'unchanged'][kind]++
  return report
}

const noCounts = (): Counts => ({
  roles: 0,
  members: 0,
  teams: 0,
  workspaces: 0,
  resources: 0,
  grants: 0,
})
