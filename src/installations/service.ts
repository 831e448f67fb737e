import { ceilingOf, deniedOnResource, refuseAboveCeiling } from '../decisions/ceiling.ts'
import type { Actor, Context } from '../platform/context.ts'
import type { Queryable, Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inPlatform } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { definitionOf, removeScenario, requireScenario } from '../scenarios/service.ts'
import { countUse, decideDownload, type Input, readContent } from '../templates/service.ts'
import { resolveWorkspace } from '../workspaces/service.ts'
import { filledOf, make, tell } from './made.ts'
import { refuseByPolicy } from './policy.ts'
import * as repository from './repository.ts'
import { refuseAboveInstaller, requireConsent, requireInputs } from './requirements.ts'
import type {
  CreateInstallation,
  DeleteInstallation,
  Installation,
  ListInstallations,
  PatchInstallation,
} from './schema.ts'

export { markBlocked } from './marks.ts'
export { getPolicy, putPolicy } from './policy.ts'
export { installationViolations } from './violations.ts'

type OneInstallation = { installation: string }

/** As it is shown. */
export const shown = (stored: repository.StoredInstallation): Installation => {
  const { quarantinedAt, quarantineReason: reason, quarantinedBy: by } = stored
  return {
    ...{ id: stored.id, template: { id: stored.templateId, name: stored.templateName } },
    ...{ version: stored.version, workspace: stored.workspace, scenario: stored.scenarioId },
    ...{ inputs: stored.inputs, updatePolicy: stored.updatePolicy },
    ...{ capabilities: stored.consentedCapabilities, consentedBy: stored.consentedBy },
    ...{ consentedAt: stored.consentedAt, status: stored.status, decidedBy: stored.decidedBy },
    quarantine: quarantinedAt === null ? null : { at: quarantinedAt, reason: reason!, by: by! },
    updateAvailable: stored.status === 'active' ? stored.updateAvailable : null,
    ...{ installedAt: stored.installedAt, updatedAt: stored.updatedAt },
    rowVersion: stored.rowVersion,
  }
}

/** Read as the platform, for its publisher may have hidden the template since. @throws Problem 404 */
export const requireInstallation = async (tx: Queryable, organizationId: string, id: string) => {
  const found = await repository.findInstallation(tx, organizationId, id)
  if (!found)
    throw new Problem('not-found', 'installation-not-found', 'There is no such installation.')
  return found
}

export const getInstallation = (context: Context, { installation }: OneInstallation) =>
  inPlatform(context.sql, async (tx) =>
    shown(await requireInstallation(tx, context.organizationId, installation)),
  )

/** What the organization has installed, and what there is newer of it. */
export const listInstallations = (
  context: Context,
  { limit, cursor, updates, ...filter }: ListInstallations,
) =>
  inPlatform(context.sql, async (tx) => {
    const { workspace = null, template = null, status = null } = filter
    const { organizationId } = context
    const range = { organizationId, workspace, template, status, hasUpdate: updates !== undefined }
    const rows = await repository.listInstallations(tx, {
      ...range,
      after: positionOf(cursor),
      limit: limit + 1,
    })
    return toPage(rows.map(shown), limit, ({ id }) => id)
  })

/**
 * Installs a version, which is a decision: may the organization have it, does its policy let it in, does the installer hold all it
 * will use, has every input a value, was exactly this agreed to, is there room. Then scenario (or roles), installation and events are
 * one transaction. Where the policy wants somebody else's approval, it waits for it and makes nothing yet.
 * @throws Problem 402, 403, 404, 409, 410, 422, in the order of these questions
 */
export const createInstallation = async (
  context: Context,
  input: CreateInstallation,
): Promise<Installation> => {
  const id = await changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const wanted = { organizationId, template: input.template, version: input.version }
    const download = await decideDownload(tx, wanted)
    const content = await readContent(tx, { organizationId, download })
    const { kind, name } = download.template
    const { capabilities } = content
    const inputs = content.inputs as Input[]
    const workspaceId = await placeOf(tx, organizationId, kind, input.workspace)
    const place = { organizationId, workspaceId }
    const policy = await refuseByPolicy(tx, organizationId, { download, capabilities })
    refuseAboveInstaller(ceiling, capabilities, place)
    requireInputs(ceiling, place, { inputs, values: input.inputs })
    await requireConsent(capabilities, input.consent)
    const id = newId('ins')
    const definition = definitionOf(content.definition)
    const filled = filledOf(kind, definition, { inputs, values: input.inputs })
    const scenarioId = policy.approval
      ? null
      : await make(tx, context, { kind, name, filled, workspaceId, ceiling })
    await repository.insertInstallation(tx, {
      ...{ id, organizationId, workspaceId, scenarioId, inputs: input.inputs },
      ...{ templateId: download.template.id, versionId: download.version.id },
      ...{ updatePolicy: input.updatePolicy, consentedCapabilities: capabilities },
      ...{ consentedBy: context.actor.subject, installer: installerOf(context) },
      status: policy.approval ? 'pending' : 'active',
    })
    if (!policy.approval) await count(tx, download.template, { organizationId, what: 'installs' })
    await tell(
      tx,
      context,
      { id, workspaceId },
      {
        event: policy.approval ? 'installation.requested' : 'installation.created',
        after: {
          ...{ template: input.template, name, version: download.version.version, capabilities },
          ...{ scenario: scenarioId, updatePolicy: input.updatePolicy },
        },
      },
    )
    return id
  })
  return getInstallation(context, { installation: id })
}

/** Who installs, without what is the person's own business: address and session. */
const installerOf = ({ actor }: Context): Actor => {
  const { subject, apiKeyId, organizationId, restrictedTo } = actor
  return { subject, apiKeyId, organizationId, restrictedTo }
}

/** The publisher's own use says nothing about others'. */
export const count = async (
  tx: Transaction,
  template: { id: string; organizationId: string },
  use: { organizationId: string; what: string },
) => {
  if (template.organizationId !== use.organizationId)
    await countUse(tx, { templateId: template.id, ...use })
}

/** A scenario needs a workspace; roles are the organization's. */
const placeOf = async (
  tx: Transaction,
  organizationId: string,
  kind: string,
  reference: string | undefined,
): Promise<string | null> => {
  const pointer = '/workspace'
  if (kind === 'role_pack') {
    if (reference === undefined) return null
    throw unprocessable(
      'workspace-needless',
      pointer,
      'a role pack is installed in the organization',
    )
  }
  if (reference === undefined)
    throw unprocessable('workspace-missing', pointer, 'says where the scenario is to stand')
  return resolveWorkspace(tx, organizationId, { reference, pointer })
}

/**
 * Approves what waits; somebody other than who asked for it. The asker must still hold all that it will use.
 * @throws Problem 403 for one's own, or where the asker lacks something by now
 */
export const approveInstallation = async (
  context: Context,
  { installation: id }: OneInstallation,
): Promise<Installation> => {
  const pending = await requirePending(context, id)
  await changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf({ ...context, actor: pending.installer }, tx)
    const { templateId, workspaceId, version } = pending
    const wanted = { organizationId, template: templateId, version }
    const download = await decideDownload(tx, wanted)
    const content = await readContent(tx, { organizationId, download })
    const { kind, name } = download.template
    await refuseByPolicy(tx, organizationId, { download, capabilities: content.capabilities })
    refuseAboveInstaller(ceiling, content.capabilities, { organizationId, workspaceId })
    const filling = { inputs: content.inputs as Input[], values: pending.inputs }
    requireInputs(ceiling, { organizationId, workspaceId }, filling)
    const filled = filledOf(kind, definitionOf(content.definition), filling)
    const maker = { ...context, actor: pending.installer }
    const scenarioId = await make(tx, maker, { kind, name, filled, workspaceId, ceiling })
    await decide(tx, context, pending, { status: 'active', scenarioId })
    await count(tx, download.template, { organizationId, what: 'installs' })
  })
  return getInstallation(context, { installation: id })
}

/** Refuses what waits. Nothing was made. */
export const refuseInstallation = async (
  context: Context,
  { installation: id }: OneInstallation,
): Promise<Installation> => {
  const pending = await requirePending(context, id)
  await changeOrganization(context, (tx) =>
    decide(tx, context, pending, { status: 'refused', scenarioId: null }),
  )
  return getInstallation(context, { installation: id })
}

const requirePending = async (context: Context, id: string) => {
  const pending = await inPlatform(context.sql, (tx) =>
    requireInstallation(tx, context.organizationId, id),
  )
  if (pending.status !== 'pending')
    throw new Problem('conflict', 'installation-not-pending', `It is ${pending.status} already.`)
  if (pending.consentedBy === context.actor.subject)
    throw new Problem(
      'forbidden',
      'own-installation',
      'Somebody other than who asked for it decides.',
    )
  return pending
}

const decide = async (
  tx: Transaction,
  context: Context,
  pending: repository.StoredInstallation,
  { status, scenarioId }: { status: 'active' | 'refused'; scenarioId: string | null },
) => {
  const { organizationId, id } = pending
  const by = context.actor.subject
  const decided = await repository.setDecided(tx, { organizationId, id, status, scenarioId, by })
  // Of two who decide at once, the second finds nothing that waits.
  if (decided.count === 0)
    throw new Problem('conflict', 'installation-not-pending', 'Somebody decided already.')
  await tell(tx, context, pending, {
    event: status === 'active' ? 'installation.created' : 'installation.refused',
    after: { template: pending.templateId, version: pending.version, scenario: scenarioId },
  })
}

/** Sets what happens when a new version comes. */
export const patchInstallation = async (
  context: Context,
  { installation: id, updatePolicy }: OneInstallation & PatchInstallation,
): Promise<Installation> => {
  const before = await inPlatform(context.sql, (tx) =>
    requireInstallation(tx, context.organizationId, id),
  )
  await changeOrganization(context, async (tx, organizationId) => {
    await repository.setUpdatePolicy(tx, { organizationId, id, updatePolicy })
    await tell(tx, context, before, {
      event: 'installation.configured',
      before: { updatePolicy: before.updatePolicy },
      after: { updatePolicy },
    })
  })
  return getInstallation(context, { installation: id })
}

/** Takes an installation out, with the scenario it made unless that is kept. Roles of a pack stay: people hold them. */
export const deleteInstallation = async (
  context: Context,
  { installation: id, keepScenario }: OneInstallation & DeleteInstallation,
): Promise<void> => {
  const before = await inPlatform(context.sql, (tx) =>
    requireInstallation(tx, context.organizationId, id),
  )
  if (keepScenario && before.quarantinedAt !== null)
    throw new Problem('conflict', 'installation-quarantined', 'What is quarantined is not kept.')
  await changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const removed = await repository.setRemoved(tx, organizationId, id)
    if (removed.count === 0)
      throw new Problem('conflict', 'installation-removed', 'It was taken out already.')
    const { scenarioId } = before
    if (scenarioId !== null && !keepScenario) {
      const resource = { organizationId, type: 'scenario', id: scenarioId }
      refuseAboveCeiling(ceiling, await deniedOnResource(tx, resource))
      const scenario = await requireScenario(tx, { organizationId, id: scenarioId })
      await removeScenario(tx, context, scenario)
    }
    const template = { id: before.templateId, organizationId: before.publisherId }
    await count(tx, template, { organizationId, what: 'removals' })
    await tell(tx, context, before, {
      event: 'installation.deleted',
      before: { template: before.templateId, version: before.version, scenario: scenarioId },
      after: { keepScenario },
    })
  })
}
