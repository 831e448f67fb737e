import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { Problem } from '../platform/problem.ts'
import { runChecks } from './check.ts'
import { make } from './make.ts'
import { requireOwn, requireOwnVersion, resourceOf, shownVersion } from './own.ts'
import type { StoredTemplate } from './repository.ts'
import type {
  Check,
  CheckedVersion,
  CreateVersion,
  OneTemplate,
  OneVersion,
  PatchVersion,
} from './schema.ts'
import { requireStep } from './step.ts'
import * as repository from './version-repository.ts'
import { partsOf, type VersionParts } from './versions.ts'

type NewVersion = {
  template: StoredTemplate
  parts: VersionParts
  made: repository.Made
  changelog: string
}

const textOf = ({ major, minor, patch, prerelease }: VersionParts) =>
  `${major}.${minor}.${patch}${prerelease === null ? '' : `-${prerelease}`}`

/** Adds a draft of a version, with its event, inside a change that does more. */
export const addVersion = async (
  tx: Transaction,
  context: Context,
  { template, parts, made, changelog }: NewVersion,
) => {
  const [templateId, version] = [template.id, textOf(parts)]
  requireStep(version, made, await repository.listReleased(tx, templateId))
  await repository.insertVersion(tx, { id: newId('ver'), templateId, parts, made, changelog })
  const stored = (await repository.findVersion(tx, { templateId, version }))!
  await recordChange(tx, context, {
    event: 'template-version.created',
    resource: resourceOf(templateId, version),
    after: shownVersion(stored),
  })
  return stored
}

const checksOf = async (
  tx: Transaction,
  organizationId: string,
  found: { template: StoredTemplate; version: repository.StoredVersion },
): Promise<Check[]> => {
  const canonical = await repository.findDefinition(tx, found.version.id)
  return runChecks(tx, { organizationId, ...found, canonical })
}

/**
 * Makes a draft of a version, of a definition or of a scenario.
 * @throws Problem 403, 404 about the scenario, 409 where the number was used, 422 with the place or with the step it needs
 */
export const createVersion = async (
  context: Context,
  { template: id, version, changelog, ...source }: CreateVersion & OneTemplate,
): Promise<CheckedVersion> => {
  const parts = partsOf(version)
  const { kind } = await inOrganization(context, (tx) =>
    requireOwn(tx, { organizationId: context.organizationId }, id),
  )
  const made = (await make(context, kind, source))!
  return changeOrganization(context, async (tx, organizationId) => {
    const template = await requireOwn(tx, { organizationId }, id)
    const stored = await addVersion(tx, context, { template, parts, made, changelog })
    const checks = await checksOf(tx, organizationId, { template, version: stored })
    return { ...shownVersion(stored), checks }
  })
}

/** Only what nobody was shown can be edited: from submission on, a version stands as it is. */
const requireDraft = ({ status }: repository.StoredVersion) => {
  if (status !== 'draft' && status !== 'rejected')
    throw new Problem(
      'conflict',
      'version-immutable',
      'From submission or publication on, a version stands as it is.',
    )
}

/**
 * Changes a draft; one that was rejected is a draft again.
 * @throws Problem 409 for what is no draft, 412, 422 with the place or with the step it needs
 */
export const patchVersion = async (
  context: Context,
  { template: id, version: number, to, changelog, ...source }: PatchDraft,
): Promise<CheckedVersion> => {
  const parts = partsOf(to ?? number)
  const one = { template: id, version: number }
  const { template: found } = await inOrganization(context, (tx) =>
    requireOwnVersion(tx, { organizationId: context.organizationId }, one),
  )
  const made = await make(context, found.kind, source)
  return changeOrganization(context, async (tx, organizationId) => {
    const { template, version: before } = await requireOwnVersion(tx, context, one)
    requireDraft(before)
    requireStep(to ?? number, made ?? before, await repository.listReleased(tx, id))
    if (made) await repository.updateDefinition(tx, { id: before.id, made })
    const next = { id: before.id, parts, changelog: changelog ?? before.changelog }
    await repository.updateDraft(tx, next)
    const after = (await repository.findVersion(tx, { templateId: id, version: textOf(parts) }))!
    await recordChange(tx, context, {
      event: 'template-version.updated',
      resource: resourceOf(id, after.version),
      before: shownVersion(before),
      after: shownVersion(after),
    })
    const checks = await checksOf(tx, organizationId, { template, version: after })
    return { ...shownVersion(after), checks }
  })
}

/** The body's `version` is the new number; the path's is the one it has. */
type PatchDraft = Omit<PatchVersion, 'version'> & OneVersion & { to?: string | undefined }

/** Deletes a draft, whose number is free again. @throws Problem 409 for what is no draft */
export const deleteVersion = (context: Context, one: OneVersion) =>
  changeOrganization(context, async (tx) => {
    const { version: before } = await requireOwnVersion(tx, context, one)
    requireDraft(before)
    await repository.deleteVersion(tx, before.id)
    await recordChange(tx, context, {
      event: 'template-version.deleted',
      resource: resourceOf(one.template, one.version),
      before: shownVersion(before),
    })
  })

/** What the checks say of a version now. Changes nothing. */
export const checkVersion = (context: Context, one: OneVersion) =>
  inOrganization(context, async (tx, organizationId) => {
    const found = await requireOwnVersion(tx, { organizationId }, one)
    return { checks: await checksOf(tx, organizationId, found) }
  })
