import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { inOrganizationSnapshot } from '../platform/db/transaction.ts'
import * as exported from './exported.ts'
import { createPace, type Pace } from './pace.ts'
import { namesOf, type RoleNames } from './plan-roles.ts'
import { ROWS_MAX } from './run.ts'
import type { ExportOptions } from './schema.ts'
import * as stored from './stored.ts'
import { createWriter, type Writer } from './writer.ts'

/**
 * Everything an import takes, as of one instant, in pieces to be sent one after another. It is read whole before the
 * first piece is sent: a slow caller holds no transaction, and none of the embedded database's one connection.
 */
export const exportDocument = (context: Context, { format }: ExportOptions) =>
  inOrganizationSnapshot(context, async (tx, organizationId) => {
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

/** Pages of rows, each beginning after the last row of the one before. */
const pagesOf = async function* <Row, Position>(
  { organizationId, pace }: Reading,
  first: Position,
  list: (range: { organizationId: string; limit: number; after: Position }) => PromiseLike<Row[]>,
  positionOf: (row: Row) => Position,
): AsyncGenerator<Row> {
  for (let after = first; ; ) {
    const rows = await list({ organizationId, limit: ROWS_MAX, after })
    for (const row of rows) {
      await pace()
      yield row
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < ROWS_MAX) return
    after = positionOf(last)
  }
}

const readGrants = async (reading: Reading, names: RoleNames) => {
  const sorted = exported.noGrants()
  const list = (range: Parameters<typeof stored.listGrants>[1]) =>
    stored.listGrants(reading.tx, range)
  for await (const grant of pagesOf(reading, '', list, ({ id }) => id))
    exported.sortGrant(sorted, names, grant)
  return sorted
}

const writeMembers = async (reading: Reading, roles: ReadonlyMap<string, string[]>) => {
  const list = (range: Parameters<typeof stored.listMembers>[1]) =>
    stored.listMembers(reading.tx, range)
  for await (const member of pagesOf(reading, '', list, ({ subject }) => subject))
    reading.writer.add('members', exported.exportedMember(member, roles.get(member.subject) ?? []))
}

const writeTeams = async (reading: Reading) => {
  const { tx, organizationId, writer } = reading
  const members = new Map<string, string[]>()
  const list = (range: Parameters<typeof stored.listMemberships>[1]) =>
    stored.listMemberships(tx, range)
  const first = { team: '', subject: '' }
  for await (const { team, subject } of pagesOf(reading, first, list, (row) => row)) {
    const known = members.get(team)
    if (known) known.push(subject)
    else members.set(team, [subject])
  }
  for (const team of await stored.findTeams(tx, organizationId))
    writer.add('teams', exported.exportedTeam(team, members.get(team.slug) ?? []))
}

const writeResources = async (reading: Reading, slugs: ReadonlyMap<string, string>) => {
  const list = (range: Parameters<typeof stored.listResources>[1]) =>
    stored.listResources(reading.tx, range)
  const first = { type: '', id: '' }
  for await (const resource of pagesOf(reading, first, list, (row) => row))
    reading.writer.add('resources', exported.exportedResource(resource, slugs))
}
