import type { Context } from '../platform/context.ts'
import type { Plan } from './plan.ts'
import * as repository from './repository.ts'
import { differing, grantRowsOf, roleRowsOf } from './rows.ts'
import { ROWS_MAX, type Run } from './run.ts'
import type { Kind } from './schema.ts'

/** How often the log tells how far it is. */
const LOGGED_EVERY = 10_000

/** The rows of one statement. */
type Slice<Row> = { organizationId: string; rows: Row[] }
type Write = {
  kind: Kind
  total: number
  /** Writes some of the rows. */
  slice: (organizationId: string, from: number, to: number) => PromiseLike<unknown>
}

const writing = <Row>(
  kind: Kind,
  rows: readonly Row[],
  write: (slice: Slice<Row>) => PromiseLike<unknown>,
): Write => ({
  kind,
  total: rows.length,
  slice: (organizationId, from, to) => write({ organizationId, rows: rows.slice(from, to) }),
})

/** Does some work on a list; what the database refuses becomes a fault in that list. */
export type Naming = (kind: Kind, work: () => PromiseLike<unknown>) => Promise<void>

/** Writes a plan, each list in a few statements, in an order in which each depends on earlier ones only. */
export const writePlan = async (
  { log, actor }: Context,
  run: Run,
  plan: Plan,
  naming: Naming,
): Promise<void> => {
  const { tx, organizationId } = run
  for (const { kind, total, slice } of writesOf(run, plan, actor.subject)) {
    if (total === 0) continue
    for (let done = 0; done < total; ) {
      const next = Math.min(done + ROWS_MAX, total)
      await naming(kind, () => slice(organizationId, done, next))
      await run.pace()
      if (next % LOGGED_EVERY < next - done) log.info({ kind, done: next, total }, 'importing')
      done = next
    }
    await naming(kind, () => repository.askDeferredRules(tx))
    await repository.deferRules(tx)
  }
}

const writesOf = (run: Run, plan: Plan, grantedBy: string): Write[] => {
  const { tx } = run
  const roles = roleRowsOf(run, plan)
  const grants = grantRowsOf(plan)
  const { workspaces, members, teams, resources } = plan
  return [
    writing('roles', differing(plan.roles.changes), (rows) => repository.upsertRoles(tx, rows)),
    writing('roles', roles.permissionsGone, (r) => repository.deleteRolePermissions(tx, r)),
    writing('roles', roles.permissions, (r) => repository.upsertRolePermissions(tx, r)),
    writing('roles', roles.inheritsGone, (r) => repository.deleteRoleInherits(tx, r)),
    writing('roles', roles.inherits, (r) => repository.insertRoleInherits(tx, r)),
    writing(
      'workspaces',
      differing(workspaces.changes, (before, after) => before.name === after.name),
      (rows) => repository.upsertWorkspaces(tx, rows),
    ),
    writing('members', differing(members.changes), (r) => repository.upsertMembers(tx, r)),
    writing(
      'teams',
      differing(teams.changes, (a, b) => a.name === b.name && a.parent === b.parent),
      (rows) => repository.upsertTeams(tx, rows),
    ),
    writing('teams', teams.joining, (rows) => repository.insertTeamMembers(tx, rows)),
    writing('resources', differing(resources.changes), (r) => repository.upsertResources(tx, r)),
    writing('grants', grants.deleted, (rows) => repository.deleteGrants(tx, rows)),
    writing('grants', grants.updated, (rows) => repository.updateGrants(tx, rows)),
    writing('grants', grants.inserted, (rows) =>
      repository.insertGrants(tx, { ...rows, grantedBy }),
    ),
  ]
}
