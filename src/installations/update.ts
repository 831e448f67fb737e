import { ceilingOf } from '../decisions/ceiling.ts'
import type { Ceiling, Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization, inPlatform } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { canonicalOf, type Definition, definitionOf } from '../scenarios/service.ts'
import {
  type Content,
  consentOf,
  type Download,
  decideDownload,
  differenceOf,
  type Input,
  readContent,
} from '../templates/service.ts'
import { filledOf, findMade, remake, tell } from './made.ts'
import { mergeThree, type Resolution } from './merge.ts'
import { refuseByPolicy, refuseUnwanted } from './policy.ts'
import { settleQuarantine } from './quarantine.ts'
import * as repository from './repository.ts'
import { refuseAboveInstaller, requireConsent, requireInputs } from './requirements.ts'
import type { Installation, Rollback, UpdateInstallation, UpdatePreview } from './schema.ts'
import { count, getInstallation, requireInstallation } from './service.ts'

type OneInstallation = { installation: string }

/** So many updates can be gone back. */
export const STEPS_MAX = 10

/** An installation that can be updated, with what it was made of. */
const open = async (context: Context, id: string) => {
  const stored = await inPlatform(context.sql, async (tx) => {
    const installation = await requireInstallation(tx, context.organizationId, id)
    return { installation, base: await repository.findBase(tx, installation.versionId) }
  })
  if (stored.installation.status !== 'active')
    throw new Problem(
      'conflict',
      'installation-not-active',
      `What is ${stored.installation.status} is not updated.`,
    )
  return stored
}
type Opened = Awaited<ReturnType<typeof open>>

type Wish = {
  values: Readonly<Record<string, unknown>>
  resolutions: readonly Resolution[]
}

/** Merges what the new version has into what stands here, from what was installed: nothing is written. */
const plan = async (
  tx: Transaction,
  context: Context,
  {
    opened,
    download,
    content,
    wish,
  }: {
    opened: Opened
    download: Download
    content: Content
    wish: Wish
  },
) => {
  const { installation, base } = opened
  const { kind } = installation
  const [before, after] = [base.inputs as Input[], content.inputs as Input[]]
  const known = new Set(after.map(({ name }) => name))
  const kept = Object.entries(installation.inputs).filter(([name]) => known.has(name))
  const values = { ...Object.fromEntries(kept), ...wish.values }
  const sides = {
    base: filledOf(kind, definitionOf(base.definition), {
      inputs: before,
      values: installation.inputs,
    }),
    theirs: filledOf(kind, definitionOf(content.definition), { inputs: after, values }),
  }
  const names = [sides.base, sides.theirs].flatMap(({ roles }) =>
    Array.isArray(roles) ? roles.map(({ name }: { name: string }) => name) : [],
  )
  const { scenarioId } = installation
  const ours = await findMade(tx, context, { kind, scenarioId, names: [...new Set(names)] })
  const merged = mergeThree({ ...sides, ours }, wish.resolutions)
  const nameOf = ({ name }: Input) => name
  return {
    ...{ download, content, values, ours, conflicts: merged.conflicts },
    merged: merged.value as Definition,
    capabilities: differenceOf(installation.consentedCapabilities, content.capabilities),
    inputs: differenceOf(before.map(nameOf), after.map(nameOf)),
  }
}

const download = async (tx: Transaction, organizationId: string, opened: Opened, to: string) => {
  const { templateId } = opened.installation
  const wanted = { organizationId, template: templateId, version: to }
  const decided = await decideDownload(tx, wanted)
  const content = await readContent(tx, { organizationId, download: decided })
  return { download: decided, content }
}

/** What an update would do: what is merged, what both sides changed, what it could do more. */
export const previewUpdate = async (
  context: Context,
  { installation: id, to }: OneInstallation & { to: string },
): Promise<UpdatePreview> => {
  const opened = await open(context, id)
  const planned = await inOrganization(context, async (tx, organizationId) => {
    const found = await download(tx, organizationId, opened, to)
    return plan(tx, context, { opened, ...found, wish: { values: {}, resolutions: [] } })
  })
  const { changelog } = await inPlatform(context.sql, (tx) =>
    repository.findPublished(tx, planned.download.version.id),
  )
  const { merged, conflicts, capabilities, inputs } = planned
  return {
    ...{ from: opened.installation.version, to: planned.download.version.version },
    ...{ merged: merged as Record<string, unknown>, conflicts: [...conflicts] },
    ...{ capabilities, inputs, changelog },
    consent: capabilities.added.length === 0 ? null : await consentOf(planned.content.capabilities),
  }
}

/**
 * Updates to another version. What was changed here stays; where both sides changed the same, somebody has to say which. Wider
 * capabilities are agreed to anew, by somebody who holds them. What stood before can be gone back to.
 * @throws Problem 409 `update-conflicts` with all of them, 409 `consent-required`; else as installing
 */
export const updateInstallation = async (
  context: Context,
  { installation: id, to, inputs, resolutions, consent }: OneInstallation & UpdateInstallation,
): Promise<Installation> => {
  const opened = await open(context, id)
  refuseStale(context, opened.installation.rowVersion)
  await changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const found = await download(tx, organizationId, opened, to)
    const wish = { values: inputs, resolutions }
    const planned = await plan(tx, context, { opened, ...found, wish })
    const { capabilities } = planned.content
    await refuseByPolicy(tx, organizationId, { ...found, capabilities })
    const place = { organizationId, workspaceId: opened.installation.workspaceId }
    if (planned.capabilities.added.length > 0) {
      refuseAboveInstaller(ceiling, capabilities, place)
      await requireConsent(capabilities, consent)
    }
    const needed = planned.content.inputs as Input[]
    requireInputs(ceiling, place, { inputs: needed, values: { ...planned.values, ...inputs } })
    if (planned.conflicts.length > 0)
      throw new Problem(
        'conflict',
        'update-conflicts',
        'Both sides changed the same; say which counts.',
        {
          conflicts: planned.conflicts,
        },
      )
    await carryOut(tx, context, { opened, planned, ceiling })
  })
  await settleQuarantine(context, id)
  return getInstallation(context, { installation: id })
}

type Planned = Awaited<ReturnType<typeof plan>>

const carryOut = async (
  tx: Transaction,
  context: Context,
  { opened, planned, ceiling }: { opened: Opened; planned: Planned; ceiling: Ceiling },
) => {
  const { organizationId } = context
  const { installation } = opened
  const { kind, scenarioId, workspaceId } = installation
  await keepStep(tx, installation, canonicalOf(planned.ours))
  await remake(tx, context, { kind, scenarioId, workspaceId, filled: planned.merged, ceiling })
  await setVersion(tx, context, installation, {
    ...{ versionId: planned.download.version.id, inputs: planned.values },
    capabilities: planned.content.capabilities,
  })
  await count(tx, planned.download.template, { organizationId, what: 'updates' })
  await tell(tx, context, installation, {
    event: 'installation.updated',
    before: { version: installation.version, capabilities: installation.consentedCapabilities },
    after: {
      version: planned.download.version.version,
      capabilities: planned.content.capabilities,
    },
  })
}

/** Where somebody else was quicker, nothing of this counts: what was merged is not what stands here any more. */
const setVersion = async (
  tx: Transaction,
  { organizationId, actor }: Context,
  { id, rowVersion, consentedCapabilities }: repository.StoredInstallation,
  next: { versionId: string; inputs: Record<string, unknown>; capabilities: readonly string[] },
) => {
  const isWider = differenceOf(consentedCapabilities, next.capabilities).added.length > 0
  const by = isWider ? actor.subject : null
  const set = await repository.setVersion(tx, { organizationId, id, rowVersion, by, ...next })
  if (set.count === 0)
    throw new Problem('conflict', 'installation-changed', 'Somebody else updated it; look again.')
}

/** What stands now, as the next step of the history; the oldest beyond ten goes. */
const keepStep = async (
  tx: Transaction,
  installation: repository.StoredInstallation,
  definition: string,
) => {
  const { id, versionId, inputs, consentedCapabilities } = installation
  const [last] = await repository.listSteps(tx, id)
  const step = (last?.step ?? 0) + 1
  await repository.insertStep(tx, id, {
    step,
    versionId,
    definition,
    inputs,
    consentedCapabilities,
  })
  await repository.deleteStepsUpTo(tx, id, step - STEPS_MAX)
}

/**
 * Goes back to what stood before an update, exactly; later steps are forgotten.
 * @throws Problem 409 where there is no such step, or its version was blocked since; 403 for a version that the organization wants
 * kept from running by now
 */
export const rollbackInstallation = async (
  context: Context,
  { installation: id, step: wanted }: OneInstallation & Rollback,
): Promise<Installation> => {
  const { installation } = await open(context, id)
  const target = await inPlatform(context.sql, async (tx) => {
    const steps = await repository.listSteps(tx, id)
    const found = wanted === undefined ? steps[0] : steps.find(({ step }) => step === wanted)
    if (!found) throw new Problem('conflict', 'no-such-step', 'There is nothing to go back to.')
    const published = await repository.findPublished(tx, found.versionId)
    if (installation.publisherId !== context.organizationId)
      await refuseUnwanted(tx, { ...installation, version: published.version })
    return { ...found, ...published }
  })
  if (target.status === 'blocked')
    throw new Problem('conflict', 'version-blocked', `Version ${target.version} was blocked since.`)
  await changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const { kind, scenarioId, workspaceId, consentedCapabilities } = installation
    const { added } = differenceOf(consentedCapabilities, target.consentedCapabilities)
    refuseAboveInstaller(ceiling, added, { organizationId, workspaceId })
    const filled = definitionOf(target.definition)
    await remake(tx, context, { kind, scenarioId, workspaceId, filled, ceiling })
    await setVersion(tx, context, installation, {
      ...{ versionId: target.versionId, inputs: target.inputs },
      capabilities: target.consentedCapabilities,
    })
    await repository.deleteStepsFrom(tx, id, target.step)
    await tell(tx, context, installation, {
      event: 'installation.rolled-back',
      before: { version: installation.version },
      after: { version: target.version, step: target.step },
    })
  })
  await settleQuarantine(context, id)
  return getInstallation(context, { installation: id })
}
