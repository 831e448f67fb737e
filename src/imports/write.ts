import type { Context } from '../platform/context.ts'
import { analyzeGrown, type BulkTable, findPlannedRows } from '../platform/db/analyze.ts'
import { ROWS_MAX } from './pace.ts'
import type { Plan } from './plan.ts'
import * as repository from './repository.ts'
import { differing, type GrantRows, grantRowsOf, type RoleRows, roleRowsOf } from './rows.ts'
import type { Run } from './run.ts'
import type { Kind } from './schema.ts'
import { planAsUsual } from './stored.ts'

/** How often the log tells how far it is. */
const LOGGED_EVERY = 10_000

/** The rows of one statement. */
type Slice<Row> = { organizationId: string; rows: Row[] }
type Write = {
  kind: Kind
  table: BulkTable
  total: number
  /** Writes some of the rows. */
  slice: (organizationId: string, from: number, to: number) => PromiseLike<unknown>
}

const writing = <Row>(
  kind: Kind,
  table: BulkTable,
  rows: readonly Row[],
  write: (slice: Slice<Row>) => PromiseLike<unknown>,
): Write => ({
  kind,
  table,
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
  const plannedRows = await findPlannedRows(tx)
  const writeAll = async (writes: readonly Write[]) => {
    for (const { kind, table, total, slice } of writes) {
      if (total === 0) continue
      for (let done = 0; done < total; ) {
        const next = Math.min(done + ROWS_MAX, total)
        await naming(kind, () => slice(organizationId, done, next))
        await run.pace()
        if (next % LOGGED_EVERY < next - done) log.info({ kind, done: next, total }, 'importing')
        done = next
      }
      await analyzeGrown(tx, { table, written: total, planned: plannedRows.get(table) ?? -1 })
      await naming(kind, () => repository.askDeferredRules(tx))
      await repository.deferRules(tx)
    }
  }
  const [roles, grants] = [roleRowsOf(run, plan), grantRowsOf(plan)]
  await writeAll(changesOfRows(run, roles, grants))
  await planAsUsual(tx)
  await writeAll(newRows(run, plan, { roles, grants, grantedBy: actor.subject }))
}

/** Rows that are there already. */
const changesOfRows = ({ tx }: Run, roles: RoleRows, grants: GrantRows): Write[] => [
  writing('roles', 'role_permissions', roles.permissionsGone, (r) =>
    repository.deleteRolePermissions(tx, r),
  ),
  writing('roles', 'role_inherits', roles.inheritsGone, (r) =>
    repository.deleteRoleInherits(tx, r),
  ),
  writing('grants', 'grants', grants.deleted, (rows) => repository.deleteGrants(tx, rows)),
  writing('grants', 'grants', grants.updated, (rows) => repository.updateGrants(tx, rows)),
]

/** Rows by their keys, whether there are such or not. */
const newRows = (
  { tx }: Run,
  plan: Plan,
  { roles, grants, grantedBy }: { roles: RoleRows; grants: GrantRows; grantedBy: string },
): Write[] => [
  writing('roles', 'roles', differing(plan.roles.changes), (rows) =>
    repository.upsertRoles(tx, rows),
  ),
  writing('roles', 'role_permissions', roles.permissions, (r) =>
    repository.upsertRolePermissions(tx, r),
  ),
  writing('roles', 'role_inherits', roles.inherits, (r) => repository.insertRoleInherits(tx, r)),
  writing(
    'workspaces',
    'workspaces',
    differing(plan.workspaces.changes, (before, after) => before.name === after.name),
    (rows) => repository.upsertWorkspaces(tx, rows),
  ),
  writing('members', 'members', differing(plan.members.changes), (r) =>
    repository.upsertMembers(tx, r),
  ),
  writing(
    'teams',
    'teams',
    differing(plan.teams.changes, (a, b) => a.name === b.name && a.parent === b.parent),
    (rows) => repository.upsertTeams(tx, rows),
  ),
  writing('teams', 'team_members', plan.teams.joining, (rows) =>
    repository.insertTeamMembers(tx, rows),
  ),
  writing('resources', 'resources', differing(plan.resources.changes), (r) =>
    repository.upsertResources(tx, r),
  ),
  writing('grants', 'grants', grants.inserted, (r) =>
    repository.insertGrants(tx, { ...r, grantedBy }),
  ),
]
