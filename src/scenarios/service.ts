import { recordChange } from '../audit/service.ts'
import { ceilingOf, deniedOnResource, refuseAboveCeiling } from '../decisions/ceiling.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable, Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { cursorAt, positionOf } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { canonicalOf, type Definition, definitionOf } from './definition.ts'
import * as repository from './repository.ts'
import type {
  CreateScenario,
  ListScenarios,
  PatchScenario,
  Scenario,
  ScenarioSummary,
} from './schema.ts'

export { bytesOf, canonicalOf, type Definition, definitionOf } from './definition.ts'
export { scenarioViolations } from './violations.ts'

type InWorkspace = { workspaceId: string }
type OneScenario = InWorkspace & { scenario: string }

const READ_MAX = 200

/** The scenarios of a workspace that the caller may read, each asked of the policy: a list cannot disagree with a check. */
export const listScenarios = async (
  context: Context,
  { workspaceId, limit, cursor }: ListScenarios & InWorkspace,
) => {
  const items: ScenarioSummary[] = []
  const { organizationId } = context
  let after = positionOf(cursor)
  for (;;) {
    const rows = await inOrganization(context, (tx) =>
      repository.listScenarios(tx, { organizationId, workspaceId, after, limit: READ_MAX }),
    )
    for (const row of rows) {
      if (!(await mayRead(context, workspaceId, row.id))) continue
      if (items.length === limit) return { items, nextCursor: cursorAt(items.at(-1)!.id) }
      items.push(summaryOf(row))
    }
    if (rows.length < READ_MAX) return { items, nextCursor: null }
    after = rows.at(-1)!.id
  }
}

const mayRead = (context: Context, workspaceId: string, id: string) =>
  context.access.permits(context, 'scenario:read', {
    organizationId: context.organizationId,
    workspaceId,
    resource: { type: 'scenario', id },
  })

export const getScenario = (context: Context, { workspaceId, scenario }: OneScenario) =>
  inOrganization(context, async (tx, organizationId) =>
    shown(await requireScenario(tx, { organizationId, workspaceId, id: scenario })),
  )

/** The workspace's id is not shown: people name it by its slug. */
const summaryOf = ({ workspaceId: _, ...summary }: ScenarioSummary & { workspaceId?: unknown }) =>
  summary as ScenarioSummary

const shown = ({ definition, ...stored }: repository.StoredScenario): Scenario => ({
  ...summaryOf(stored),
  definition: definitionOf(definition),
})

/** @throws Problem 404 where there is none such */
export const requireScenario = async (
  tx: Queryable,
  scenario: { organizationId: string; workspaceId?: string | null; id: string },
) => {
  const found = await repository.findScenario(tx, scenario)
  if (!found) throw new Problem('not-found', 'scenario-not-found', 'There is no such scenario.')
  return found
}

/** Makes a scenario, whose owner is who makes it. */
export const createScenario = (
  context: Context,
  { workspaceId, name, definition }: CreateScenario & InWorkspace,
): Promise<Scenario> => {
  const canonical = canonicalOf(definition)
  return changeOrganization(context, (tx) =>
    addScenario(tx, context, { workspaceId, name, canonical }),
  )
}

/** The same inside a change that does more. */
export const addScenario = async (
  tx: Transaction,
  context: Context,
  { workspaceId, name, canonical }: { workspaceId: string; name: string; canonical: string },
): Promise<Scenario> => {
  const { organizationId, actor } = context
  const scenario = { organizationId, id: newId('scn') }
  const owner = actor.subject.slice(actor.subject.indexOf(':') + 1)
  await repository.registerScenario(tx, { ...scenario, workspaceId, owner })
  await repository.insertScenario(tx, { ...scenario, name, definition: canonical })
  const stored = await requireScenario(tx, scenario)
  await recordChange(tx, context, {
    ...eventAt(workspaceId, scenario.id),
    event: 'scenario.created',
    after: told(stored),
  })
  return shown(stored)
}

/** Changes name or definition. */
export const updateScenario = (
  context: Context,
  { workspaceId, scenario, ...patch }: PatchScenario & OneScenario,
): Promise<Scenario> => {
  const canonical = patch.definition && canonicalOf(patch.definition)
  return changeOrganization(context, async (tx, organizationId) => {
    const before = await requireScenario(tx, { organizationId, workspaceId, id: scenario })
    refuseStale(context, before.version)
    return rewriteScenario(tx, context, {
      before,
      name: patch.name ?? before.name,
      canonical: canonical ?? before.definition,
    })
  })
}

/** The same inside a change that does more; what stays as it is, is not written. */
export const rewriteScenario = async (
  tx: Transaction,
  context: Context,
  next: { before: repository.StoredScenario; name: string; canonical: string },
): Promise<Scenario> => {
  const { before, name, canonical } = next
  if (before.name === name && before.definition === canonical) return shown(before)
  const { organizationId } = context
  const { id, workspaceId } = before
  await repository.updateScenario(tx, { organizationId, id, name, definition: canonical })
  const after = await requireScenario(tx, { organizationId, id })
  await recordChange(tx, context, {
    ...eventAt(workspaceId, id),
    event: 'scenario.updated',
    before: told(before),
    after: told(after),
  })
  return shown(after)
}

/** Ends a scenario with every grant on it. A denial that ends gives something, so the ceiling applies. */
export const deleteScenario = (context: Context, { workspaceId, scenario }: OneScenario) =>
  changeOrganization(context, async (tx, organizationId) => {
    const ceiling = await ceilingOf(context, tx)
    const before = await requireScenario(tx, { organizationId, workspaceId, id: scenario })
    refuseStale(context, before.version)
    const resource = { organizationId, type: 'scenario', id: scenario }
    refuseAboveCeiling(ceiling, await deniedOnResource(tx, resource))
    await removeScenario(tx, context, before)
  })

/** The same inside a change that does more, and has asked the ceiling. */
export const removeScenario = async (
  tx: Transaction,
  context: Context,
  before: repository.StoredScenario,
) => {
  await repository.endScenario(tx, { organizationId: context.organizationId, id: before.id })
  await recordChange(tx, context, {
    ...eventAt(before.workspaceId, before.id),
    event: 'scenario.deleted',
    before: told(before),
  })
}

const eventAt = (workspaceId: string | null, id: string) => ({
  resource: `scenario:${id}`,
  workspaceId,
})

/** What the log keeps of one: definitions may hold what is nobody else's business. */
const told = ({ definition: _, ...stored }: repository.StoredScenario) => summaryOf(stored)

/** The definition of a stored scenario, for those who make something of it. */
export const definitionOfScenario = (stored: repository.StoredScenario): Definition =>
  definitionOf(stored.definition)
