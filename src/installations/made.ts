import { recordChange } from '../audit/service.ts'
import type { Ceiling, Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { findOwnRole, writeRole } from '../roles/service.ts'
import {
  addScenario,
  canonicalOf,
  type Definition,
  definitionOf,
  requireScenario,
  rewriteScenario,
} from '../scenarios/service.ts'
import { fill, type Input, type RolePack, readRolePack } from '../templates/service.ts'
import { placedValues } from './requirements.ts'

/** What an installation makes, and finds again when it is updated: a scenario, or the roles of a pack. */
export type Kind = 'scenario' | 'role_pack'

/** What a version amounts to with its inputs filled in, in the form in which what stands here is compared with it. */
export const filledOf = (
  kind: Kind,
  definition: Definition,
  { inputs, values }: { inputs: readonly Input[]; values: Readonly<Record<string, unknown>> },
): Definition =>
  kind === 'scenario'
    ? fill(definition, inputs, placedValues(inputs, values))
    : { roles: readRolePack(definition).roles.map(rolesEntry) }

type PackRole = RolePack['roles'][number]

/** A role as it is compared: by its name, its permissions and parents without an order. */
const rolesEntry = ({ name, description, scope, permissions, inherits }: PackRole) => ({
  ...{ id: name, name, description, scope },
  permissions: permissions
    .map((each) => (typeof each === 'string' ? each : { ...each }))
    .sort(byText),
  inherits: [...inherits].sort(),
})
const byText = (one: unknown, other: unknown) =>
  JSON.stringify(one) < JSON.stringify(other) ? -1 : 1

type Where = { workspaceId: string | null; scenarioId: string | null }

/** What stands here now, in the form of `filledOf`. */
export const findMade = async (
  tx: Transaction,
  { organizationId }: Context,
  { kind, scenarioId, names }: { kind: Kind; scenarioId: string | null; names: readonly string[] },
): Promise<Definition> => {
  if (kind === 'role_pack') {
    const found = await Promise.all(names.map((name) => findOwnRole(tx, organizationId, name)))
    return { roles: found.flatMap((role) => (role ? [rolesEntry(role as PackRole)] : [])) }
  }
  if (scenarioId === null)
    throw new Problem('conflict', 'scenario-gone', 'The scenario it made was deleted.')
  return definitionOf((await requireScenario(tx, { organizationId, id: scenarioId })).definition)
}

/** Makes it for the first time. @returns the scenario's id, null for a pack */
export const make = async (
  tx: Transaction,
  context: Context,
  made: {
    kind: Kind
    name: string
    filled: Definition
    workspaceId: string | null
    ceiling: Ceiling
  },
): Promise<string | null> => {
  const { kind, name, filled, workspaceId, ceiling } = made
  if (kind === 'role_pack') {
    await writeRoles(tx, context, { filled, ceiling, mayReplace: false })
    return null
  }
  const canonical = canonicalOf(filled)
  const scenario = await addScenario(tx, context, { workspaceId: workspaceId!, name, canonical })
  return scenario.id
}

/** Puts another state in its place. */
export const remake = async (
  tx: Transaction,
  context: Context,
  {
    kind,
    scenarioId,
    filled,
    ceiling,
  }: Where & { kind: Kind; filled: Definition; ceiling: Ceiling },
): Promise<void> => {
  if (kind === 'role_pack') return writeRoles(tx, context, { filled, ceiling, mayReplace: true })
  const { organizationId } = context
  const before = await requireScenario(tx, { organizationId, id: scenarioId! })
  await rewriteScenario(tx, context, { before, name: before.name, canonical: canonicalOf(filled) })
}

/** Parents first; a role that a newer version no longer has stays, for people may hold it. */
const writeRoles = async (
  tx: Transaction,
  context: Context,
  { filled, ...how }: { filled: Definition; ceiling: Ceiling; mayReplace: boolean },
) => {
  const waiting = new Map((filled.roles as PackRole[]).map((role) => [role.name, role]))
  for (let before = -1; waiting.size !== before; ) {
    before = waiting.size
    for (const [name, role] of waiting) {
      if (role.inherits.some((parent) => parent !== name && waiting.has(parent))) continue
      const { description, scope, permissions, inherits } = role
      await writeRole(
        tx,
        { ...context, ifMatch: undefined },
        { name, description, scope, permissions, inherits, ...how },
      )
      waiting.delete(name)
    }
  }
  if (waiting.size > 0)
    throw new Problem('unprocessable', 'inheritance-cycle', 'The roles inherit from each other.')
}

/** Tells the log of an installation. */
export const tell = (
  tx: Transaction,
  context: Context,
  { id, workspaceId }: { id: string; workspaceId: string | null },
  change: { event: string; before?: unknown; after?: unknown; reason?: string | undefined },
) => recordChange(tx, context, { resource: `installation:${id}`, workspaceId, ...change })
