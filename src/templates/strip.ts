import type { Definition } from '../scenarios/service.ts'
import { type Input, inputAt } from './fill.ts'
import { collectInputs, type Inputs } from './inputs.ts'
import { findSecrets, placesIn, pointerTo } from './secrets.ts'

/** A definition that others may have, and what they must fill in. */
export type Stripped = { definition: Definition; inputs: Input[] }

/** What a workflow knows of the place where it was made. */
const OF_THE_PLACE = new Set([
  ...['pinData', 'staticData', 'versionId', 'instanceId', 'shared', 'sharedWithProjects'],
  ...['homeProject', 'usedCredentials', 'ownedBy', 'activeVersion', 'activeVersionId'],
])
const OF_A_NODE = new Set(['webhookId', 'pinData', 'staticData', 'instanceId'])
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const without = (value: object, members: ReadonlySet<string>) =>
  Object.fromEntries(Object.entries(value).filter(([member]) => !members.has(member)))
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Takes out of a definition what belongs to the place where it was made: ids of credentials become inputs of type
 * `connection`, secrets inputs of type `secret`, and pinned data, static data, ids of webhooks and of instances go.
 * @throws Problem 503 where secrets cannot be looked for
 */
export const strip = async (definition: Definition): Promise<Stripped> => {
  const inputs = collectInputs(definition)
  const bare = withoutPlace(definition, inputs)
  const secrets = new Map<string, string>()
  for (const secret of await findSecrets(placesIn(bare)))
    secrets.set(pointerTo(secret.path), inputs.ofSecret(secret, bare))
  const stripped = replaced(bare, secrets) as Definition
  return { definition: stripped, inputs: inputs.allOf(stripped) }
}

const withoutPlace = (definition: Definition, inputs: Inputs): Definition => {
  const bare: Record<string, unknown> = without(definition, OF_THE_PLACE)
  if (isObject(bare.meta)) bare.meta = without(bare.meta, OF_THE_PLACE)
  if (Array.isArray(bare.nodes))
    bare.nodes = bare.nodes.map((node) => (isObject(node) ? bareNode(node, inputs) : node))
  return bare
}

const bareNode = (node: Record<string, unknown>, inputs: Inputs) => {
  const bare: Record<string, unknown> = without(node, OF_A_NODE)
  if (isObject(bare.credentials))
    bare.credentials = Object.fromEntries(
      Object.entries(bare.credentials).map(([type, credential]) => [
        type,
        inputAt(credential) === undefined
          ? { $input: inputs.ofCredential(type, credential, node) }
          : credential,
      ]),
    )
  // The address of a webhook is as good as its key where it is a number nobody could guess.
  const { parameters } = bare
  if (isObject(parameters) && typeof parameters.path === 'string' && UUID.test(parameters.path))
    bare.parameters = without(parameters, new Set(['path']))
  return bare
}

const replaced = (value: unknown, secrets: ReadonlyMap<string, string>, at = ''): unknown => {
  if (typeof value === 'string') {
    const name = secrets.get(at)
    return name === undefined ? value : { $input: name }
  }
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([key, member]): [string, unknown] => [
    key,
    replaced(member, secrets, pointerTo([key], at)),
  ])
  return Array.isArray(value) ? members.map(([, member]) => member) : Object.fromEntries(members)
}
