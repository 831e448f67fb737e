import { recordChange } from '../audit/service.ts'
import {
  clearNamespace,
  clearOrganization,
  clearTag,
  type Generations,
  type Raised,
} from '../platform/cache/generations.ts'
import type { NamespaceName } from '../platform/cache/namespaces.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changePlatform } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import * as repository from './repository.ts'
import type {
  CacheHealth,
  CacheNamespace,
  Cleared,
  OneEntry,
  OneNamespace,
  OneOrganization,
  PatchNamespace,
  Warmed,
} from './schema.ts'
import { type CacheSettings, getHealth, getNamespace, questionOf } from './service.ts'

/** What clearing needs besides: the counters by which all nodes know what counts no more. */
export type CacheChangeSettings = CacheSettings & { generations: Generations }

/**
 * Raises a generation, so that nothing that was stored before is found any more, here or elsewhere. Nodes that cannot be
 * told find out within their staleness bound; the answer says whether they were told.
 */
const clear = async (
  { generations }: CacheChangeSettings,
  context: Context,
  raise: (tx: Transaction) => Promise<Raised>,
): Promise<Cleared> => {
  const raised = await changePlatform(context, async (tx) => {
    const done = await raise(tx)
    await recordChange(tx, context, {
      event: 'cache.cleared',
      resource: `cache:${done.name}`,
      after: done,
    })
    return done
  })
  const isTold = await generations.publish([raised]).then(
    () => true,
    () => false,
  )
  return { ...raised, isTold }
}

export const clearByNamespace = (
  settings: CacheChangeSettings,
  context: Context,
  { namespace }: OneNamespace,
) => clear(settings, context, (tx) => clearNamespace(tx, namespace))

export const clearByTag = (
  settings: CacheChangeSettings,
  context: Context,
  { tag }: { tag: string },
) => clear(settings, context, (tx) => clearTag(tx, tag))

/** Everything of one organization; its revision rises, so that the policy itself is read anew, too. */
export const clearByOrganization = async (
  settings: CacheChangeSettings,
  context: Context,
  { organization }: OneOrganization,
): Promise<Cleared> => {
  const state = await settings.policies.find(context.sql, organization)
  if (!state)
    throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
  const cleared = await clear(settings, context, async (tx) => {
    await repository.raiseRevision(tx, state.id)
    return clearOrganization(tx, state.id)
  })
  context.access.changed(state.id)
  return cleared
}

/** Changes room, lifetime or policy of a namespace, in this process and until it ends. */
export const configureNamespace = async (
  settings: CacheSettings,
  context: Context,
  { namespace, ...patch }: OneNamespace & PatchNamespace,
): Promise<CacheNamespace> => {
  const { caches } = settings
  const before = caches.settings(namespace)
  await changePlatform(context, async (tx) => {
    await recordChange(tx, context, {
      event: 'cache.configured',
      resource: `cache:namespace:${namespace}`,
      before,
      after: { ...before, ...patch },
    })
  })
  caches.configure(namespace, patch)
  return getNamespace(settings, namespace)
}

/** Takes one entry out of this node's memory and of the remote store. */
export const deleteEntry = async (
  settings: CacheSettings,
  context: Context,
  { namespace, ...entry }: OneEntry,
): Promise<void> => {
  const question = await questionOf(settings, context, entry)
  const { organizationId } = question
  const deleted = await settings.caches.deleteEntry(namespace as NamespaceName, question)
  if (!deleted)
    throw new Problem('not-found', 'cache-entry-not-found', 'Nothing is kept under this key.')
  await changePlatform(context, async (tx) => {
    await recordChange(tx, context, {
      event: 'cache.entry-deleted',
      resource: `cache:${namespace}`,
      before: { organizationId, namespace },
    })
  })
}

/** Loads an organization's policy here, before the first question. */
export const warmOrganization = async (
  { policies }: CacheSettings,
  context: Context,
  { organization }: OneOrganization,
): Promise<Warmed> => {
  const startedAtMs = context.now().getTime()
  const state = await policies.find(context.sql, organization)
  if (!state)
    throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
  const warmed = {
    organization: state.id,
    revision: state.token,
    ms: context.now().getTime() - startedAtMs,
  }
  await changePlatform(context, async (tx) => {
    await recordChange(tx, context, {
      event: 'cache.warmed',
      resource: `organization:${state.id}`,
      after: warmed,
    })
  })
  // The event has let the platform be read anew; the first question shall wait for nothing.
  await policies.find(context.sql, state.id)
  return warmed
}

/** Asks the remote store again at once, instead of after the breaker's time. */
export const resetBreaker = async (
  settings: CacheSettings,
  context: Context,
): Promise<CacheHealth> => {
  const before = getHealth(settings)
  settings.caches.resetBreaker()
  const after = getHealth(settings)
  await changePlatform(context, async (tx) => {
    await recordChange(tx, context, {
      event: 'cache.breaker-reset',
      resource: 'cache:breaker',
      before: before.breaker,
      after: after.breaker,
    })
  })
  return after
}
