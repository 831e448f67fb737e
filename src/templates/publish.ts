import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import { refuseFailed, runChecks } from './check.ts'
import { integrationsOf } from './manifest.ts'
import { requireOwnVersion, resourceOf, shownVersion } from './own.ts'
import * as repository from './repository.ts'
import type { OneVersion, Version, Withdraw } from './schema.ts'
import * as versions from './version-repository.ts'

type Found = Awaited<ReturnType<typeof requireOwnVersion>>
type Told = 'template-version.published' | 'template-version.yanked' | 'template-version.restored'

/** A step of a version from one status to another, with its event. */
const step = (
  context: Context,
  one: OneVersion,
  {
    event,
    reason,
    work,
  }: {
    event: Told
    reason?: string
    work: (tx: Transaction, found: Found) => Promise<unknown>
  },
): Promise<Version> =>
  changeOrganization(context, async (tx, organizationId) => {
    const found = await requireOwnVersion(tx, context, one)
    await work(tx, found)
    const { version: after } = await requireOwnVersion(tx, { organizationId }, one)
    await recordChange(tx, context, {
      event,
      resource: resourceOf(one.template, one.version),
      before: shownVersion(found.version),
      after: shownVersion(after),
      ...(reason === undefined ? {} : { reason }),
    })
    return shownVersion(after)
  })

/** What keeps a version from the own organization already; the rest is for those who let others have it. */
const INSIDE = new Set(['shape', 'secrets', 'step', 'role-pack'])

/**
 * Publishes a version inside the organization, without a moderator. It stands as it is from now on.
 * @throws Problem 409 where it is no draft, 422 with the checks that failed
 */
export const publishVersion = (context: Context, one: OneVersion): Promise<Version> =>
  step(context, one, {
    event: 'template-version.published',
    work: async (tx, { template, version }) => {
      const { organizationId } = context
      if (version.status !== 'draft' && version.status !== 'rejected')
        throw new Problem('conflict', 'version-not-draft', `The version is ${version.status}.`)
      const canonical = await versions.findDefinition(tx, version.id)
      const checks = await runChecks(tx, { organizationId, template, version, canonical })
      refuseFailed(checks.filter(({ name }) => INSIDE.has(name)))
      await versions.updateStatus(tx, { id: version.id, status: 'published', reason: null })
      // What others see of it is what was approved.
      if (!template.isApproved)
        await repository.updateContent(tx, {
          organizationId,
          id: template.id,
          integrations: integrationsOf(version.capabilities),
        })
    },
  })

/** Withdraws a version: nobody installs it any more; who has it keeps it, and may download it again. @throws Problem 409 */
export const yankVersion = (context: Context, { reason, ...one }: Withdraw & OneVersion) =>
  step(context, one, {
    event: 'template-version.yanked',
    reason,
    work: async (tx, { version }) => {
      if (version.status !== 'published')
        throw new Problem('conflict', 'version-not-published', `The version is ${version.status}.`)
      await versions.updateStatus(tx, { id: version.id, status: 'yanked', reason })
    },
  })

/** Takes a withdrawal back. @throws Problem 409 where its publisher has not withdrawn it */
export const restoreVersion = (context: Context, { reason, ...one }: Withdraw & OneVersion) =>
  step(context, one, {
    event: 'template-version.restored',
    reason,
    work: async (tx, { version }) => {
      if (version.status !== 'yanked')
        throw new Problem('conflict', 'version-not-yanked', `The version is ${version.status}.`)
      await versions.updateStatus(tx, { id: version.id, status: 'published', reason: null })
    },
  })
