import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { inOrganization } from '../platform/db/transaction.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import {
  bytesOf,
  canonicalOf,
  type Definition,
  definitionOf,
  definitionOfScenario,
  requireScenario,
} from '../scenarios/service.ts'
import { inputNamesIn } from './fill.ts'
import { integrityOf } from './integrity.ts'
import { capabilitiesOf } from './manifest.ts'
import { capabilitiesOfPack, readRolePack, requireRolePack } from './role-pack.ts'
import { findSecrets, holdsSecret, placesIn, pointerTo } from './secrets.ts'
import { strip } from './strip.ts'
import type { Made } from './version-repository.ts'

/** Where a definition comes from: sent along, or a scenario of the organization's. */
export type Source = {
  definition?: Definition | undefined
  fromScenario?: string | undefined
}

const INPUT_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/
const SCENARIO = { type: 'scenario', create: 'scenario:template:create', read: 'scenario:read' }

/**
 * The definition of a source. What is made of a scenario is asked of that scenario, before anything is changed.
 * @throws Problem 404 for a scenario the caller may not read, 403 where it may make no template of it
 */
const definitionFrom = async (
  context: Context,
  { definition, fromScenario }: Source,
): Promise<Definition | undefined> => {
  if (fromScenario === undefined) return definition
  const { organizationId } = context
  const resource = { type: SCENARIO.type, id: fromScenario }
  const permits = (permission: string) =>
    context.access.permits(context, permission, { organizationId, resource })
  if (!(await permits(SCENARIO.create))) {
    if (!(await permits(SCENARIO.read)))
      throw new Problem('not-found', 'scenario-not-found', 'There is no such scenario.')
    throw new Problem('forbidden', 'forbidden', `This needs the permission ${SCENARIO.create}.`, {
      permission: SCENARIO.create,
    })
  }
  return inOrganization(context, async (tx) =>
    definitionOfScenario(await requireScenario(tx, { organizationId, id: fromScenario })),
  )
}

/**
 * What is kept of a source: the definition without what is nobody else's business, and what the server computes of it.
 * Undefined where there is none. Ask before a change begins.
 * @throws Problem 403, 404, 422 with the place, 503 where secrets cannot be looked for
 */
export const make = async (
  context: Context,
  kind: 'scenario' | 'role_pack',
  source: Source,
): Promise<Made | undefined> => {
  const definition = await definitionFrom(context, source)
  if (!definition) return undefined
  const pointer = source.fromScenario === undefined ? '/definition' : '/fromScenario'
  // What is too large or too deep is refused before anything walks through it.
  const canonical = canonicalOf(definition, pointer)
  if (kind === 'scenario') return makeScenario(definitionOf(canonical), pointer)
  if (source.fromScenario !== undefined)
    throw unprocessable('kind-mismatch', pointer, 'a role pack is made of a definition')
  return inOrganization(context, (tx) => makePack(tx, context, canonical))
}

const makeScenario = async (definition: Definition, pointer: string): Promise<Made> => {
  for (const name of inputNamesIn(definition))
    if (!INPUT_NAME.test(name))
      throw unprocessable(
        'input-name-malformed',
        pointer,
        'names an input that is not 1 to 64 letters, digits, hyphens and underscores',
      )
  const stripped = await strip(definition)
  const canonical = canonicalOf(stripped.definition, pointer)
  // In keys, for instance, which nothing can take the place of.
  if (await holdsSecret(canonical))
    throw unprocessable(
      'secret-found',
      pointer,
      'holds a secret that no input can take the place of',
    )
  return made(canonical, {
    capabilities: capabilitiesOf(stripped.definition),
    inputs: stripped.inputs,
  })
}

const makePack = async (tx: Transaction, { organizationId }: Context, canonical: string) => {
  const definition = definitionOf(canonical)
  const pack = readRolePack(definition)
  const [secret] = await findSecrets(placesIn(definition))
  if (secret)
    throw unprocessable('secret-found', pointerTo(secret.path, '/definition'), 'holds a secret')
  await requireRolePack(tx, organizationId, pack)
  const capabilities = await capabilitiesOfPack(tx, organizationId, pack)
  return made(canonical, { capabilities, inputs: [] })
}

const made = async (
  definition: string,
  computed: Pick<Made, 'capabilities' | 'inputs'>,
): Promise<Made> => ({
  definition,
  integrity: await integrityOf(definition),
  sizeBytes: bytesOf(definition),
  ...computed,
})
