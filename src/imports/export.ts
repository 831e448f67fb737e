import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { inOrganizationSnapshot } from '../platform/db/transaction.ts'
import * as exported from './exported.ts'
import { createPace, type Pace } from './pace.ts'
import { namesOf, type RoleNames } from './plan-roles.ts'
import type { ExportOptions } from './schema.ts'
import * as stored from './stored.ts'
import { createWriter, type Writer } from './writer.ts'

/**
 * Everything an import takes, as of one instant, in pieces to be sent one after another. It is read whole before the
 * first piece is sent: a slow caller holds no transaction, and none of the embedded database's one connection.
 */
export const exportDocument = (context: Context, { format }: ExportOptions) =>
  inOrganizationSnapshot(context, async (tx, organizationId) => {
    await stored.planAnew(tx)
    const writer = createWriter(format)
    const pace = createPace()
    const reading: Reading = { tx, organizationId, pace, writer }
    const roles = await stored.findRoles(tx, organizationId)
    const workspaces = await stored.findWorkspaces(tx, organizationId)
    const names = namesOf(roles)
    const slugs = new Map(workspaces.map(({ id, slug }) => [id, slug]))
    const sorted = await readGrants(reading, names)

    for (const role of roles)
      if (role.home === organizationId) writer.add('roles', exported.exportedRole(role))
    await writeMembers(reading, sorted.ofMembers)
    await writeTeams(reading)
    for (const workspace of workspaces) {
      const held = sorted.ofWorkspaces.get(workspace.id) ?? new Map()
      writer.add('workspaces', exported.exportedWorkspace(workspace, held))
    }
    await writeResources(reading, slugs)
    for (const grant of await exported.withoutTwins(sorted.grants, pace)) {
      await pace()
      writer.add('grants', exported.exportedGrant(grant, { slugs, names }))
    }
    return writer.end()
  })

type Reading = { tx: Queryable; organizationId: string; pace: Pace; writer: Writer }

/** The rows of a cursor, one by one. */
const rowsOf = async function* <Row>(
  { pace }: Reading,
  cursor: AsyncIterable<Row[]>,
): AsyncGenerator<Row> {
  for await (const rows of cursor)
    for (const row of rows) {
      await pace()
      yield row
    }
}

const readGrants = async (reading: Reading, names: RoleNames) => {
  const sorted = exported.noGrants()
  const cursor = stored.listGrants(reading.tx, reading.organizationId)
  for await (const grant of rowsOf(reading, cursor)) exported.sortGrant(sorted, names, grant)
  return sorted
}

const writeMembers = async (reading: Reading, roles: ReadonlyMap<string, string[]>) => {
  const cursor = stored.listMembers(reading.tx, reading.organizationId)
  for await (const member of rowsOf(reading, cursor))
    reading.writer.add('members', exported.exportedMember(member, roles.get(member.subject) ?? []))
}

const writeTeams = async (reading: Reading) => {
  const { tx, organizationId, writer } = reading
  const members = new Map<string, string[]>()
  for await (const row of rowsOf(reading, stored.listMemberships(tx, organizationId))) {
    const known = members.get(row.team)
    if (known) known.push(row.subject)
    else members.set(row.team, [row.subject])
  }
  for (const team of await stored.findTeams(tx, organizationId))
    writer.add('teams', exported.exportedTeam(team, members.get(team.slug) ?? []))
}

const writeResources = async (reading: Reading, slugs: ReadonlyMap<string, string>) => {
  const cursor = stored.listResources(reading.tx, reading.organizationId)
  for await (const resource of rowsOf(reading, cursor))
    reading.writer.add('resources', exported.exportedResource(resource, slugs))
}
