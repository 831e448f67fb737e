import { recordChange } from '../audit/service.ts'
import { ceilingOf, deniedOnResource, refuseAboveCeiling } from '../decisions/ceiling.ts'
import { requireResourceType } from '../permissions/service.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import type { Violations } from '../platform/db/violation.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { resolveWorkspace } from '../workspaces/service.ts'
import * as repository from './repository.ts'
import type { ListResources, OneResource, PutResource } from './schema.ts'

/** What the database refuses about resources. */
export const resourceViolations: Violations = {
  resources_attributes_form: [
    'unprocessable',
    'attributes-too-large',
    'The attributes are too large.',
    '/attributes',
  ],
}

/** Resources: what exists, where, whose, with which attributes. Of strict types, only registered ones can be allowed. */
export const listResources = (
  context: Context,
  { limit, cursor, type, owner, workspace }: ListResources,
) =>
  inOrganization(context, async (tx, organizationId) => {
    const workspaceId =
      workspace === undefined
        ? undefined
        : await resolveWorkspace(tx, organizationId, {
            reference: workspace,
            pointer: '/workspace',
          })
    const range = {
      organizationId,
      type,
      owner,
      workspaceId,
      after: positionOf(cursor),
      limit: limit + 1,
    }
    return toPage(await repository.listResources(tx, range), limit, ({ id }) => id)
  })

export const getResource = (context: Context, { type, id }: OneResource) =>
  inOrganization(context, async (tx, organizationId) =>
    shown(await requireResource(tx, organizationId, { type, id })),
  )

const shown = ({ workspaceId: _workspaceId, ...resource }: Found) => resource
type Found = NonNullable<Awaited<ReturnType<typeof repository.findResource>>>

const requireResource = async (
  tx: Queryable,
  organizationId: string,
  { type, id }: OneResource,
) => {
  const resource = await repository.findResource(tx, { organizationId, type, id })
  if (!resource) throw new Problem('not-found', 'resource-not-found', 'There is no such resource.')
  return resource
}

/** Where a resource is registered, if it is: what decides about grants on it. */
export const findLocation = async (
  tx: Queryable,
  organizationId: string,
  resource: OneResource,
) => {
  const found = await repository.findResource(tx, { organizationId, ...resource })
  return found && { workspaceId: found.workspaceId }
}

/** Registers a resource, or changes what is named; moving it to another workspace moves the grants on it along. */
export const putResource = (context: Context, { type, id, ...input }: PutResource) =>
  changeOrganization(context, async (tx, organizationId) => {
    await requireResourceType(tx, type, '/type')
    const before = await repository.findResource(tx, { organizationId, type, id })
    refuseStale(context, before?.version)
    const workspaceId =
      input.workspace === undefined
        ? (before?.workspaceId ?? null)
        : input.workspace === null
          ? null
          : await resolveWorkspace(tx, organizationId, {
              reference: input.workspace,
              pointer: '/workspace',
            })
    await repository.upsertResource(tx, {
      organizationId,
      type,
      id,
      workspaceId,
      owner: input.owner === undefined ? (before?.owner ?? null) : input.owner,
      attributes: input.attributes ?? before?.attributes ?? {},
    })
    const resource = shown(await requireResource(tx, organizationId, { type, id }))
    await recordChange(tx, context, {
      event: before ? 'resource.updated' : 'resource.created',
      resource: `resource:${type}:${id}`,
      workspaceId,
      ...(before ? { before: shown(before) } : {}),
      after: resource,
    })
    return { created: !before, resource }
  })

/**
 * Ends a resource and every grant on it, so that a reused id inherits nothing. A denial that ends gives something, so the
 * ceiling applies.
 */
export const deleteResource = (context: Context, { type, id }: OneResource) =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const before = await requireResource(tx, organizationId, { type, id })
    refuseStale(context, before.version)
    refuseAboveCeiling(ceiling, await deniedOnResource(tx, { organizationId, type, id }))
    await repository.deleteResource(tx, { organizationId, type, id })
    await recordChange(tx, context, {
      event: 'resource.deleted',
      resource: `resource:${type}:${id}`,
      workspaceId: before.workspaceId,
      before: shown(before),
    })
  })
