import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import {
  changeOrganization,
  changePlatform,
  inOrganization,
  inPlatform,
} from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { enqueue } from '../platform/jobs/enqueue.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { isIn, isRange, partsOf } from '../templates/service.ts'
import { tell } from './made.ts'
import { spreadAdvisory } from './marks.ts'
import { inForce } from './policy.ts'
import { BY_MODERATORS, mark, quarantineBy } from './quarantine.ts'
import * as repository from './repository.ts'
import type { Advisory, CreateAdvisory, Installation, ListAdvisories, Release } from './schema.ts'
import { getInstallation, requireInstallation } from './service.ts'

type OneTemplate = { template: string }
const SOME = 200

/** Warns of versions of one of the organization's own templates. */
export const createAdvisory = (
  context: Context,
  { template, affectedRange, fixedIn, ...said }: OneTemplate & CreateAdvisory,
): Promise<Advisory> =>
  changeOrganization(context, async (tx, organizationId) => {
    await requireOwn(tx, organizationId, template)
    if (!isRange(affectedRange))
      throw unprocessable(
        'range-malformed',
        '/affectedRange',
        'must be a range like >=1.0.0 <1.2.3',
      )
    if (fixedIn !== null) partsOf(fixedIn, '/fixedIn')
    const id = newId('adv')
    const row = { id, templateId: template, affectedRange, fixedIn, ...said }
    await repository.insertAdvisory(tx, { ...row, publishedBy: context.actor.subject })
    const after = (await repository.findAdvisory(tx, id))!
    await enqueue(tx, 'maintenance', spreadAdvisory({ advisory: id }), { organizationId })
    await recordChange(tx, context, {
      event: 'advisory.created',
      resource: `template:${template}`,
      after,
    })
    return after
  })

/** Takes a warning back: what it quarantined is free again. */
export const withdrawAdvisory = (
  context: Context,
  { template, advisory: id }: OneTemplate & { advisory: string },
): Promise<Advisory> =>
  changeOrganization(context, async (tx, organizationId) => {
    await requireOwn(tx, organizationId, template)
    const before = await repository.findAdvisory(tx, id)
    if (before?.template !== template)
      throw new Problem('not-found', 'advisory-not-found', 'There is no such advisory.')
    if (before.withdrawnAt !== null)
      throw new Problem('conflict', 'advisory-withdrawn', 'It is withdrawn already.')
    await repository.withdrawAdvisory(tx, id)
    const after = (await repository.findAdvisory(tx, id))!
    await enqueue(tx, 'maintenance', spreadAdvisory({ advisory: id }), { organizationId })
    await recordChange(tx, context, {
      event: 'advisory.withdrawn',
      resource: `template:${template}`,
      before,
      after,
    })
    return after
  })

export const listAdvisories = (
  context: Context,
  { template, limit, cursor }: OneTemplate & ListAdvisories,
) =>
  inOrganization(context, async (tx, organizationId) => {
    await requireOwn(tx, organizationId, template)
    const range = { template, after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listAdvisories(tx, range), limit, ({ id }) => id)
  })

const requireOwn = async (tx: Transaction, organizationId: string, template: string) => {
  if (!(await repository.isOwnTemplate(tx, organizationId, template)))
    throw new Problem('not-found', 'template-not-found', 'There is no such template.')
}

type Affected = Awaited<ReturnType<typeof repository.listOfTemplate>>[number]

/** Every active installation of a template, one organization after the other. */
const eachInstallation = async (
  context: Context,
  templateId: string,
  signal: AbortSignal,
  act: (affected: Affected) => Promise<boolean>,
): Promise<number> => {
  let [acted, after] = [0, '']
  for (;;) {
    const range = { templateId, after, limit: SOME }
    const found = await inPlatform(context.sql, (tx) => repository.listOfTemplate(tx, range))
    for (const affected of found) {
      signal.throwIfAborted()
      if (await act(affected)) acted++
    }
    if (found.length < SOME) return acted
    after = found.at(-1)!.id
  }
}

/** Carries an advisory to all it concerns; done again, it quarantines and frees nothing more. */
export const spread = async (
  context: Context,
  { advisory: id }: { advisory: string },
  signal: AbortSignal,
): Promise<number> => {
  const advisory = await inPlatform(context.sql, (tx) => repository.findAdvisory(tx, id))
  if (!advisory) return 0
  const { template, withdrawnAt, affectedRange } = advisory
  const others = await inPlatform(context.sql, (tx) => repository.listInForce(tx, template))
  return eachInstallation(context, template, signal, async (affected) => {
    if (withdrawnAt !== null)
      return affected.quarantinedBy === id && mark(context, affected, dueBy(others, affected))
    if (!isIn(affected.version, affectedRange)) return false
    if (affected.onAdvisory !== 'quarantine') return advise(context, affected, advisory)
    return affected.quarantinedBy === null && mark(context, affected, quarantineBy(advisory))
  })
}

/** What still keeps an installation from running, once what did is lifted. */
const dueBy = (advisories: readonly Advisory[], { version, onAdvisory }: Affected) => {
  const found = onAdvisory === 'quarantine' ? inForce(advisories, version) : undefined
  return found ? quarantineBy(found) : null
}

/** Where the organization only wants to be warned. */
const advise = async (
  context: Context,
  { id, organizationId, workspaceId, version }: Affected,
  advisory: Advisory,
) => {
  const inside = { ...context, organizationId }
  const after = { version, advisory }
  await changePlatform(inside, (tx) =>
    tell(tx, inside, { id, workspaceId }, { event: 'installation.advised', after }),
  )
  return true
}

/**
 * A version that moderators blocked, where they want it quarantined, or whose block they lifted. Theirs takes the place of an
 * advisory's, which organizations lift by themselves; afterwards the advisory's holds again.
 */
export const markVersion = async (
  context: Context,
  { template, version, reason }: { template: string; version: string; reason: string | null },
  signal: AbortSignal,
): Promise<number> => {
  const advisories = await inPlatform(context.sql, (tx) => repository.listInForce(tx, template))
  return eachInstallation(context, template, signal, async (affected) => {
    const isTheirs = affected.quarantinedBy === BY_MODERATORS
    if (affected.versionId !== version || isTheirs === (reason !== null)) return false
    const next = reason === null ? dueBy(advisories, affected) : { by: BY_MODERATORS, reason }
    return mark(context, affected, next)
  })
}

/** Lifts the quarantine of an advisory, on the organization's own account. What moderators closed, they open. */
export const releaseInstallation = async (
  context: Context,
  { installation: id, reason }: { installation: string } & Release,
): Promise<Installation> => {
  const { organizationId } = context
  const before = await inPlatform(context.sql, (tx) => requireInstallation(tx, organizationId, id))
  if (before.quarantinedBy === BY_MODERATORS)
    throw new Problem(
      'forbidden',
      'quarantined-by-moderators',
      'Moderators closed this, and only they open it.',
    )
  if (before.quarantinedBy === null || !(await mark(context, before, null, { reason })))
    throw new Problem('conflict', 'installation-not-quarantined', 'It is not quarantined.')
  return getInstallation(context, { installation: id })
}
