import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import {
  changeOrganization,
  changePlatform,
  inOrganization,
  inPlatform,
} from '../platform/db/transaction.ts'
import type { Violations } from '../platform/db/violation.ts'
import { newId } from '../platform/id.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import * as repository from './repository.ts'
import type {
  CreateOrganization,
  ListOrganizations,
  PatchOrganization,
  SuspendOrganization,
} from './schema.ts'

const SLUG_TAKEN = [
  'conflict',
  'slug-unavailable',
  'This slug is taken, was taken, or is reserved.',
  '/slug',
] as const

/** What the database refuses about organizations. */
export const organizationViolations: Violations = {
  organizations_slug_unique: SLUG_TAKEN,
  organizations_slug_begins_no_path_of_ours: SLUG_TAKEN,
  LK004: SLUG_TAKEN,
  slug_form: ['unprocessable', 'slug-invalid', 'The slug has characters it may not have.', '/slug'],
  LK002: ['conflict', 'last-owner', 'An organization always has an active owner.'],
}

/** Days between the deletion of an organization and its end; until then an owner restores it. */
const DELETION_DAYS = 30

/** A slug made of a name: lower case, accents dropped, hyphens between words; empty where nothing is left. */
export const slugOf = (name: string): string =>
  name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63)
    .replace(/-+$/, '')

/** Organizations: the tenants. Whoever creates one owns it; naming another owner is an operator's right. */
export const createOrganization = async (context: Context, input: CreateOrganization) => {
  const owner = input.owner ?? context.actor.subject
  await refuseCreation(context, owner)
  const slug = input.slug ?? slugOf(input.name)
  if (slug === '')
    throw new Problem(
      'unprocessable',
      'slug-needed',
      'No slug can be made of this name; give one.',
      {
        errors: [{ pointer: '/slug', detail: 'is required for this name' }],
      },
    )
  const id = newId('org')
  return changePlatform(context, async (tx) => {
    const within = { ...context, organizationId: id }
    await repository.insertOrganization(tx, {
      id,
      slug,
      name: input.name,
      description: input.description,
      plan: context.access.defaultPlan,
    })
    await repository.insertOwner(tx, id, owner)
    const organization = await repository.findOrganization(tx, id)
    await recordChange(tx, within, {
      event: 'organization.created',
      resource: `organization:${id}`,
      subject: owner,
      after: organization,
    })
    context.revision = within.revision
    return organization!
  })
}

const refuseCreation = async (context: Context, owner: string) => {
  const isOperator = await context.access.permits(context, 'org:create', { organizationId: null })
  if (isOperator) {
    if (owner.startsWith('key:'))
      throw new Problem(
        'unprocessable',
        'owner-needed',
        'A key cannot own an organization; name an owner.',
        {
          errors: [{ pointer: '/owner', detail: 'is required when an API key asks' }],
        },
      )
    return
  }
  // A key of an organization, a personal one too, acts inside it only.
  const isPerson = owner.startsWith('user:') && context.actor.organizationId === null
  if (!context.access.selfService || owner !== context.actor.subject || !isPerson)
    throw new Problem('forbidden', 'forbidden', 'This needs the permission org:create.', {
      permission: 'org:create',
    })
}

/** The caller's own organizations: all of them for operators, the one it belongs to for a key. */
export const listOrganizations = async (context: Context, { limit, cursor }: ListOrganizations) => {
  const all = await context.access.permits(context, 'system:organizations:manage', {
    organizationId: null,
  })
  const range = { after: positionOf(cursor), limit: limit + 1, subject: context.actor.subject }
  return inPlatform(context.sql, async (tx) => {
    if (context.actor.organizationId !== null) {
      const own = await repository.findOrganization(tx, context.actor.organizationId)
      return toPage(own && own.id > range.after ? [own] : [], limit, ({ id }) => id)
    }
    const rows = await (all
      ? repository.listOrganizations(tx, range)
      : repository.listOrganizationsOf(tx, range))
    return toPage(rows, limit, ({ id }) => id)
  })
}

export const getOrganization = (context: Context) =>
  inOrganization(context, async (tx, organizationId) => {
    const organization = await repository.findOrganization(tx, organizationId)
    if (!organization)
      throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
    return organization
  })

export const updateOrganization = (context: Context, patch: PatchOrganization) =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = (await repository.findOrganization(tx, organizationId))!
    refuseStale(context, before.version)
    if (Object.keys(patch).length === 0) return before
    const after = await repository.updateOrganization(tx, organizationId, patch)
    await recordChange(tx, context, {
      event: 'organization.updated',
      resource: `organization:${organizationId}`,
      before,
      after,
    })
    return after
  })

/** Marks an organization for deletion: denied at once, gone after 30 days. */
export const deleteOrganization = (context: Context) =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = (await repository.findOrganization(tx, organizationId))!
    refuseStale(context, before.version)
    const after = await repository.markForDeletion(tx, organizationId, DELETION_DAYS)
    await recordChange(tx, context, {
      event: 'organization.deleted',
      resource: `organization:${organizationId}`,
      before,
      after,
    })
    return after
  })

/** The platform closes an organization, wholly or for changes only. */
export const suspendOrganization = (context: Context, { level, reason }: SuspendOrganization) =>
  setStatus(context, { status: level, reason, event: 'organization.suspended' })

/**
 * Opens an organization again: an owner takes back a deletion; what the platform closed, only the platform opens.
 */
export const reactivateOrganization = async (context: Context) => {
  const { status } = await getOrganization(context)
  const isOperator = await context.access.permits(context, 'org:suspend', { organizationId: null })
  if (isOperator)
    return setStatus(context, { status: 'active', reason: null, event: 'organization.reactivated' })
  if (status !== 'pending_deletion')
    throw new Problem('forbidden', 'forbidden', 'This needs the permission org:suspend.', {
      permission: 'org:suspend',
    })
  return changeOrganization(
    context,
    async (tx, organizationId) => {
      const before = (await repository.findOrganization(tx, organizationId))!
      const after = await repository.restore(tx, organizationId)
      await recordChange(tx, context, {
        event: 'organization.reactivated',
        resource: `organization:${organizationId}`,
        before,
        after,
      })
      return after
    },
    { allowedWhile: ['pending_deletion'] },
  )
}

const setStatus = (
  context: Context,
  { status, reason, event }: { status: string; reason: string | null; event: string },
) =>
  changePlatform(context, async (tx) => {
    const { organizationId } = context
    const before = (await repository.findOrganization(tx, organizationId))!
    refuseStale(context, before.version)
    const after = await repository.updateStatus(tx, { id: organizationId, status, reason })
    await recordChange(tx, context, {
      event,
      resource: `organization:${organizationId}`,
      before,
      after,
      reason,
    })
    return after
  }).finally(() => context.access.changed(context.organizationId))

/** An organization's id by its slug, whoever asks: for the server's own start and command line. */
export const findOrganizationBySlug = ({ sql }: Context, slug: string) =>
  inPlatform(sql, (tx) => repository.findIdBySlug(tx, slug))

/** Organizations deleted for good in one run. */
const OVERDUE_MAX = 100

/** Deletes for good what was marked for deletion long enough ago. The log outlives it. Answers how many. */
export const endDeletedOrganizations = async (
  context: Context,
  signal: AbortSignal,
): Promise<number> => {
  const overdue = await inPlatform(context.sql, (tx) => repository.findOverdue(tx, OVERDUE_MAX))
  let ended = 0
  for (const { id } of overdue) {
    signal.throwIfAborted()
    ended += await endOrganization(context, id)
    context.access.changed(id)
  }
  return ended
}

const endOrganization = (context: Context, id: string) =>
  changePlatform(context, async (tx) => {
    const before = await repository.findOrganization(tx, id)
    if (!(await repository.deleteIfOverdue(tx, id))) return 0
    await recordChange(tx, context, {
      event: 'organization.ended',
      resource: `organization:${id}`,
      before,
    })
    return 1
  })
