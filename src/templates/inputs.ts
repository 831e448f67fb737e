import { unprocessable } from '../platform/problem.ts'
import type { Definition } from '../scenarios/service.ts'
import { type Input, inputAt, inputNamesIn } from './fill.ts'
import { integrationOf } from './manifest.ts'
import { isSecretName, type Secret } from './secrets.ts'

/** The inputs of a definition, as they are found in it. */
export type Inputs = {
  /** The name of a connection's input: one for each credential, wherever it is used. */
  ofCredential(type: string, credential: unknown, node: Record<string, unknown>): string
  /** The name of a secret's input: one for each text, called after the node and the member it stands in first. */
  ofSecret(secret: Secret, definition: Definition): string
  /** All of them, with those that whoever wrote the definition has left open, by name. */
  allOf(definition: Definition): Input[]
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Inputs that one definition may have. */
const INPUTS_MAX = 500
const tooMany = () =>
  unprocessable(
    'inputs-too-many',
    '/definition',
    `needs more than ${INPUTS_MAX} inputs, connections and secrets included`,
  )

/** `Send to Slack` → `send-to-slack`. */
const slugOf = (text: string) =>
  text
    .slice(0, 1000)
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 48)
const labelOf = (text: string) =>
  [
    ...text
      .slice(0, 1000)
      .replace(/[\p{C}\s]+/gu, ' ')
      .trim(),
  ]
    .slice(0, 120)
    .join('')

/** The name of the node that a place is in. */
const nodeNameAt = ({ nodes }: Definition, [first, index]: readonly (string | number)[]) => {
  const node: unknown = first === 'nodes' && Array.isArray(nodes) ? nodes[Number(index)] : undefined
  return isObject(node) && typeof node.name === 'string' ? node.name : ''
}

/**
 * Collects inputs under names that stay the same from version to version as long as what they are for does.
 * @param definition whose own inputs keep their names
 * @throws Problem 422 for more than {@link INPUTS_MAX}
 */
export const collectInputs = (definition: Definition): Inputs => {
  const taken = inputNamesIn(definition)
  if (taken.size > INPUTS_MAX) throw tooMany()
  const byName = new Map<string, Input>()
  const names = new Map<string, string>()
  const named = (what: string, wish: string, input: Omit<Input, 'name'>) => {
    const known = names.get(what)
    if (known !== undefined) return known
    if (taken.size >= INPUTS_MAX) throw tooMany()
    const base = slugOf(wish) || input.type
    let name = base
    for (let count = 2; taken.has(name); count++) name = `${base}-${count}`
    taken.add(name)
    names.set(what, name)
    byName.set(name, { name, ...input })
    return name
  }
  return {
    ofCredential: (type, credential, node) => {
      const { id, name } = isObject(credential) ? credential : { id: credential, name: '' }
      const integration = typeof node.type === 'string' ? integrationOf(node.type) : undefined
      return named(JSON.stringify(['connection', type, id ?? null, name ?? null]), type, {
        type: 'connection',
        label: labelOf(`Connection for ${type}`),
        integration: integration ?? (slugOf(type) || 'any'),
        isRequired: true,
      })
    },
    ofSecret: ({ path, key, text, service }, at) => {
      const [node, what] = [nodeNameAt(at, path), labelOf(key) || 'Secret']
      return named(JSON.stringify(['secret', text]), `${node} ${what}`, {
        type: 'secret',
        label: node === '' ? what : labelOf(`${what} of ${node}`),
        ...(service === undefined ? {} : { integration: service }),
        isRequired: true,
      })
    },
    allOf: (stripped) => {
      for (const input of leftOpenIn(stripped))
        if (!byName.has(input.name)) byName.set(input.name, input)
      return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    },
  }
}

/** Inputs as they stand in a definition: what they are is told by their place. */
const leftOpenIn = (definition: Definition): Input[] => {
  const found: Input[] = []
  const walk = (value: unknown, key: string, isCredential: boolean): void => {
    const name = inputAt(value)
    if (name !== undefined) {
      const type = isCredential ? 'connection' : isSecretName(key) ? 'secret' : 'text'
      const integration = isCredential ? { integration: slugOf(key) || 'any' } : {}
      found.push({ name, type, label: name, ...integration, isRequired: true })
    } else if (typeof value === 'object' && value !== null)
      for (const [member, each] of Object.entries(value))
        walk(each, Array.isArray(value) ? key : member, key === 'credentials')
  }
  walk(definition, '', false)
  return found
}
