import canonicalize from 'canonicalize'
import { unprocessable } from '../platform/problem.ts'

/** Bytes of a definition's canonical JSON. */
export const DEFINITION_BYTES_MAX = 1024 * 1024
/** Objects and lists inside one another. */
export const DEFINITION_DEPTH_MAX = 64
/** Entries of the list `nodes`. */
export const DEFINITION_NODES_MAX = 2000

/** Any JSON object. Where it has a list `nodes`, each entry is a node, as n8n and Node-RED write them. */
export type Definition = { readonly [member: string]: unknown }

/**
 * The one text of a definition: RFC 8785, so that equal definitions are equal bytes, whatever order and spelling they came in.
 * @throws Problem 422 that names the member, where it is too large, too deep, has too many nodes, or is no well-formed JSON
 */
export const canonicalOf = (definition: Definition, pointer = '/definition'): string => {
  refuseShape(definition, pointer)
  const text = canonicalize(definition)!
  if (text.length > DEFINITION_BYTES_MAX || bytesOf(text) > DEFINITION_BYTES_MAX)
    throw unprocessable(
      'definition-too-large',
      pointer,
      `must have at most ${DEFINITION_BYTES_MAX} bytes`,
    )
  return text
}

/** Bytes of a text in UTF-8. */
export const bytesOf = (text: string): number => new TextEncoder().encode(text).length

/** What a text from the database stands for. Each caller gets its own. */
export const definitionOf = (canonical: string): Definition => JSON.parse(canonical)

const refuseShape = (definition: Definition, pointer: string) => {
  const { nodes } = definition
  if (Array.isArray(nodes) && nodes.length > DEFINITION_NODES_MAX)
    throw unprocessable(
      'definition-too-large',
      `${pointer}/nodes`,
      `must have at most ${DEFINITION_NODES_MAX} entries`,
    )
  // Walked with a list of its own: what is too deep for the stack must be refused, not fail.
  const waiting: { value: unknown; depth: number; at: string }[] = [
    { value: definition, depth: 1, at: pointer },
  ]
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { value, depth, at } = next
    refuseText(value, at)
    if (typeof value !== 'object' || value === null) continue
    if (depth > DEFINITION_DEPTH_MAX)
      throw unprocessable(
        'definition-too-deep',
        pointer,
        `must have at most ${DEFINITION_DEPTH_MAX} objects and lists inside one another`,
      )
    for (const [key, member] of Object.entries(value)) {
      const below = `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
      refuseText(key, below)
      waiting.push({ value: member, depth: depth + 1, at: below })
    }
  }
}

/** RFC 8785 §3.2.2.2: a lone surrogate has no canonical form. */
const refuseText = (value: unknown, pointer: string) => {
  if (typeof value === 'string' && !value.isWellFormed())
    throw unprocessable('definition-malformed', pointer, 'must be well-formed text')
}
