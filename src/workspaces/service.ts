import { recordChange } from '../audit/service.ts'
import {
  ceilingOf,
  deniedInWorkspace,
  givenByRole,
  refuseAboveCeiling,
} from '../decisions/ceiling.ts'
import * as membership from '../members/service.ts'
import { slugOf } from '../organizations/service.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import type { Violations } from '../platform/db/violation.ts'
import { newId } from '../platform/id.ts'
import { didYouMean } from '../platform/nearest.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { resolveRole } from '../roles/service.ts'
import * as repository from './repository.ts'
import type {
  CreateWorkspace,
  ListWorkspaces,
  PatchWorkspace,
  PutWorkspaceMember,
} from './schema.ts'

/** What the database refuses about workspaces. */
export const workspaceViolations: Violations = {
  workspaces_slug_unique: ['conflict', 'workspace-exists', 'A workspace has this slug.', '/slug'],
}

const notFound = () =>
  new Problem('not-found', 'workspace-not-found', 'There is no such workspace.')

/** A workspace as routes name it: found from the path before the handler runs. */
type In = { workspaceId: string }

/** Workspaces: tenants inside an organization, with their own members and resources. */
export const createWorkspace = (context: Context, input: CreateWorkspace) =>
  changeOrganization(context, async (tx, organizationId) => {
    const slug = input.slug ?? slugOf(input.name)
    if (slug === '')
      throw unprocessable('slug-needed', '/slug', 'No slug can be made of this name; give one.')
    const workspace = await repository.insertWorkspace(tx, {
      id: newId('wsp'),
      organizationId,
      slug,
      name: input.name,
    })
    await recordChange(tx, context, {
      event: 'workspace.created',
      resource: `workspace:${workspace.id}`,
      workspaceId: workspace.id,
      after: workspace,
    })
    return workspace
  })

export const listWorkspaces = (context: Context, { limit, cursor }: ListWorkspaces) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { organizationId, after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listWorkspaces(tx, range), limit, ({ slug }) => slug)
  })

export const getWorkspace = (context: Context, { workspaceId }: In) =>
  inOrganization(context, async (tx, organizationId) => {
    const workspace = await repository.findWorkspace(tx, organizationId, workspaceId)
    if (!workspace) throw notFound()
    return workspace
  })

export const updateWorkspace = (context: Context, { workspaceId, ...patch }: PatchWorkspace & In) =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = await repository.findWorkspace(tx, organizationId, workspaceId)
    if (!before) throw notFound()
    refuseStale(context, before.version)
    if (Object.keys(patch).length === 0) return before
    const after = await repository.updateWorkspace(tx, {
      organizationId,
      id: workspaceId,
      ...patch,
    })
    const resource = `workspace:${workspaceId}`
    await recordChange(tx, context, {
      event: 'workspace.updated',
      resource,
      workspaceId,
      before,
      after,
    })
    return after
  })

/**
 * Ends a workspace with its resources and grants, and with the invitations to it alone. The name must be repeated when there
 * is anything in it. A refusal that ends gives something, so the ceiling applies.
 */
export const deleteWorkspace = (
  context: Context,
  { workspaceId, confirm }: In & { confirm?: string | undefined },
) =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const before = await repository.findWorkspace(tx, organizationId, workspaceId)
    if (!before) throw notFound()
    refuseStale(context, before.version)
    const ends = await repository.countContents(tx, organizationId, workspaceId)
    const { resources, grants, members, invitations } = ends
    if (resources + grants + invitations > 0 && confirm !== before.name)
      throw new Problem(
        'conflict',
        'confirmation-needed',
        `With it end ${resources} resources, ${grants} grants, the roles of ${members} members there and what ${invitations} invitations would give; repeat its name in ?confirm=.`,
        { ends },
      )
    refuseAboveCeiling(ceiling, await deniedInWorkspace(tx, organizationId, workspaceId))
    await repository.moveGrantsAfterResources(tx, organizationId, workspaceId)
    await repository.revokeInvitations(tx, organizationId, workspaceId)
    await repository.deleteWorkspace(tx, organizationId, workspaceId)
    const resource = `workspace:${workspaceId}`
    await recordChange(tx, context, {
      event: 'workspace.deleted',
      resource,
      workspaceId,
      before,
      after: { ends },
    })
  })

export const listWorkspaceMembers = (
  context: Context,
  { workspaceId, limit, cursor }: ListWorkspaces & In,
) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { organizationId, workspaceId, after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listWorkspaceMembers(tx, range), limit, ({ subject }) => subject)
  })

/** Gives a member of the organization exactly these roles in a workspace; none takes them all. */
export const putWorkspaceMember = (
  context: Context,
  { workspaceId, user, roles }: PutWorkspaceMember & In,
) =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    await membership.requireMember(tx, organizationId, user)
    const place = { organizationId, workspaceId, subject: user }
    const had = await repository.findRolesOf(tx, place)
    const wanted = []
    for (const [index, name] of roles.entries()) {
      const pointer = `/roles/${index}`
      wanted.push({
        pointer,
        role: await resolveRole(tx, organizationId, { name, inWorkspace: true, pointer }),
      })
    }
    for (const { role, pointer } of wanted) {
      if (had.some((each) => isSame(each, role))) continue
      const given = await givenByRole(tx, [role.home, role.scope, role.name], {
        organizationId,
        workspaceId,
      })
      refuseAboveCeiling(ceiling, given, pointer)
      await membership.giveRole(context, tx, { ...place, role })
    }
    for (const role of had)
      if (!wanted.some((each) => isSame(each.role, role)))
        await membership.takeRole(tx, { ...place, role })
    const member = { subject: user, roles: wanted.map(({ role }) => role.name).sort() }
    await recordChange(tx, context, {
      event: 'workspace-member.updated',
      resource: `workspace-member:${workspaceId}/${user}`,
      subject: user,
      workspaceId,
      before: { subject: user, roles: had.map(({ name }) => name) },
      after: member,
    })
    return member
  })

type Role = { home: string; scope: string; name: string }
const isSame = (left: Role, right: Role) =>
  left.home === right.home && left.scope === right.scope && left.name === right.name

/** Takes every role a subject holds in the workspace itself. */
export const deleteWorkspaceMember = (
  context: Context,
  { workspaceId, user }: { user: string } & In,
) =>
  changeOrganization(context, async (tx, organizationId) => {
    const place = { organizationId, workspaceId, subject: user }
    const had = await repository.findRolesOf(tx, place)
    if (had.length === 0)
      throw new Problem(
        'not-found',
        'workspace-member-not-found',
        'There is no such member of the workspace.',
      )
    for (const role of had) await membership.takeRole(tx, { ...place, role })
    await recordChange(tx, context, {
      event: 'workspace-member.deleted',
      resource: `workspace-member:${workspaceId}/${user}`,
      subject: user,
      workspaceId,
      before: { subject: user, roles: had.map(({ name }) => name) },
    })
  })

/**
 * The id of a workspace that a body names by id or slug.
 * @throws Problem 422 with the nearest known slugs
 */
export const resolveWorkspace = async (
  tx: Queryable,
  organizationId: string,
  { reference, pointer }: { reference: string; pointer: string },
): Promise<string> => {
  const id = await repository.findWorkspaceId(tx, organizationId, reference)
  if (id !== undefined) return id
  const slugs = await repository.findSlugs(tx, organizationId)
  throw unprocessable(
    'workspace-unknown',
    pointer,
    `There is no such workspace.${didYouMean(reference, slugs)}`,
  )
}
