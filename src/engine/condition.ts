import { Environment as Cel, type ParseResult } from '@marcbachmann/cel-js'
import { LRUCache } from 'lru-cache'
import {
  ATTRIBUTE_DEPTH_MAX,
  ATTRIBUTE_STRING_LENGTH_MAX,
  ATTRIBUTE_VALUES_MAX,
  CONDITION_DEPTH_MAX,
  CONDITION_LENGTH_MAX,
  CONDITION_LIST_LENGTH_MAX,
  CONDITION_NODES_MAX,
  CONDITION_STEPS_MAX,
  findConditionRefusal,
} from './condition-rules.ts'
import type { Bag, Environment } from './line.ts'

// Conditions are CEL (https://cel.dev) as `@marcbachmann/cel-js` understands it. The limits and rules of
// `condition-rules.ts` hold when a condition is written and again when it is read, because a line may have
// been typed into the database by hand.

/** How many distinct conditions stay parsed; about 5 kB each. */
const PROGRAMS_MAX = 4096

const celOf = (nodesMax: number, depthMax: number) =>
  new Cel({
    limits: {
      maxAstNodes: nodesMax,
      maxDepth: depthMax,
      maxListElements: CONDITION_LIST_LENGTH_MAX,
      maxMapEntries: CONDITION_LIST_LENGTH_MAX,
      maxCallArguments: 8,
    },
  })
    .registerVariable('subject', 'map')
    .registerVariable('resource', 'map')
    .registerVariable('action', 'map')
    .registerVariable('context', 'map')
    .registerVariable('now', 'google.protobuf.Timestamp')

/** For what is written. */
const written = celOf(CONDITION_NODES_MAX, CONDITION_DEPTH_MAX)

/** For what is read: a role granted under a condition joins two written ones, see `bothConditions`. */
const read = celOf(2 * CONDITION_NODES_MAX + 1, CONDITION_DEPTH_MAX + 1)
const READ_LENGTH_MAX = 2 * CONDITION_LENGTH_MAX + '() && ()'.length

/** Programs by their text; null when the text is none. */
const programs = new LRUCache<string, { readonly run: ParseResult | null }>({ max: PROGRAMS_MAX })

const parseProgram = (text: string): ParseResult | null => {
  if (text.length > READ_LENGTH_MAX) return null
  try {
    const program = read.parse(text)
    if (findConditionRefusal(program.ast, 2 * CONDITION_STEPS_MAX)) return null
    return program.check().valid ? program : null
  } catch {
    return null
  }
}

const programOf = (text: string): ParseResult | null => {
  const known = programs.get(text)
  if (known) return known.run
  const run = parseProgram(text)
  programs.set(text, { run })
  return run
}

/**
 * What a condition says about this question, or undefined if it fails: it does not parse, breaks a rule,
 * does not type-check, meets a missing attribute or values that do not compare, or is not a boolean.
 * Never throws. A failing one takes about 11 µs, others less than 1 µs.
 */
export const evaluateCondition = (text: string, environment: Environment): boolean | undefined => {
  const program = programOf(text)
  if (!program) return undefined
  try {
    const result: unknown = program(environment)
    return typeof result === 'boolean' ? result : undefined
  } catch {
    return undefined
  }
}

/**
 * Whether a line with this condition applies: a failing condition of an allow is no match, of a deny a match,
 * so that a mistake never opens anything. This is Casbin's `condition(p.cond, p.eft, r.env)` as well: always a
 * real boolean, synchronous, never throws. The text `true` is answered without CEL.
 */
export const conditionHolds = (text: string, effect: string, environment: Environment): boolean =>
  text === 'true' || (evaluateCondition(text, environment) ?? effect === 'deny')

/** One condition that holds when both do; for a role granted under a condition, whose lines may have their own. */
export const bothConditions = (first: string | null, second: string | null): string | null => {
  if (first === null || second === null) return first ?? second
  return `(${first}) && (${second})`
}

export type ConditionCheck =
  | { readonly ok: true }
  | {
      readonly ok: false
      /** One sentence: what is wrong, and at which character if that is known. */
      readonly detail: string
    }

const refused = (detail: string, position?: number): ConditionCheck => ({
  ok: false,
  detail:
    position === undefined
      ? `The condition is refused: ${detail}.`
      : `The condition is refused at character ${position + 1}: ${detail}.`,
})

/** The library's errors name the limit in its own words. */
const LIMITS: { readonly [words: string]: string } = {
  maxAstNodes: `it has more than ${CONDITION_NODES_MAX} parts`,
  maxDepth: `it is nested more than ${CONDITION_DEPTH_MAX} levels deep`,
  maxListElements: `a list has more than ${CONDITION_LIST_LENGTH_MAX} elements`,
  maxMapEntries: `a map has more than ${CONDITION_LIST_LENGTH_MAX} entries`,
  maxCallArguments: 'a function has more than 8 arguments',
}

type CelError = { readonly summary?: string; readonly range?: { readonly start: number } }

const refusedByCel = (error: unknown): ConditionCheck => {
  const { summary = 'it cannot be read', range } = error as CelError
  const limit = /^Exceeded (\w+)/.exec(summary)?.[1]
  const words = summary.slice(0, 1).toLowerCase() + summary.slice(1)
  return refused((limit && LIMITS[limit]) ?? words.replace('token: EOF', 'end'), range?.start)
}

/** Inside parentheses a comment would swallow the closing one, and with it a part of the policy. */
const hasComment = (text: string) => {
  try {
    read.parse(`(${text})`)
    return false
  } catch {
    return true
  }
}

const refusedText = (text: string): ConditionCheck | undefined => {
  if (text.trim() === '') return refused('it is empty')
  if (text.length > CONDITION_LENGTH_MAX)
    return refused(`it has ${text.length} characters, and ${CONDITION_LENGTH_MAX} are allowed`)
  if (!text.isWellFormed()) return refused('it holds half of a surrogate pair')
  const position = [...'\n\r\0'].map((char) => text.indexOf(char)).find((at) => at >= 0)
  if (position !== undefined) return refused('it must be one line without U+0000', position)
  return undefined
}

/**
 * Whether a condition may be written: at most 1,024 characters, 200 nodes, 20 levels and 64 elements in a
 * list; on one line and without a comment; only `subject`, `resource`, `action`, `context` and `now`; no
 * `matches`; macros neither nested nor chained; bounded work; valid for the type check, with a boolean (or
 * something only known when it is asked) as its result. Never throws.
 */
export const checkCondition = (text: string): ConditionCheck => {
  const unfit = refusedText(text)
  if (unfit) return unfit
  try {
    const program = written.parse(text)
    if (hasComment(text)) return refused('it holds a comment', text.lastIndexOf('//'))
    const refusal = findConditionRefusal(program.ast, CONDITION_STEPS_MAX)
    if (refusal) return refused(refusal.detail, refusal.position)
    const { valid, type = '', error } = program.check()
    if (!valid) return refusedByCel(error)
    if (type !== 'bool' && type !== 'dyn')
      return refused(`it must be true or false, and this is of type ${type}`)
    return { ok: true }
  } catch (error) {
    return refusedByCel(error)
  }
}

/** What `environmentOf` puts together. Ids are those of the API, without their type. */
export type EnvironmentInput = {
  readonly subject: {
    readonly type: string
    readonly id: string
    readonly attributes?: Bag | undefined
  }
  readonly resource: {
    readonly type: string
    /** Absent or null when the question is about every resource of the type. */
    readonly id?: string | null | undefined
    /** The owner's id without its type, comparable with `subject.id`. */
    readonly owner?: string | null | undefined
    readonly attributes?: Bag | undefined
    /** A registered resource always has an owner, null if it has none. */
    readonly registered?: boolean | undefined
  }
  readonly action: { readonly name: string; readonly properties?: Bag | undefined }
  readonly context?: Bag | undefined
  /** One instant per question, from our clock. */
  readonly now: Date
}

/**
 * Stands for an attribute that is too large to be read. Every use of it fails, `has(…)` included, so that an
 * allow does not match and a deny does; leaving it out would let a guarded deny be talked away.
 */
const UNREADABLE = Symbol('an attribute above its limits')

const isPlain = (value: object) => {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** A copy without prototypes; `undefined` if it is above the limits or nothing that JSON could hold. */
const copyValue = (value: unknown, left: { values: number }, depth: number): unknown => {
  left.values -= 1
  if (left.values < 0 || depth > ATTRIBUTE_DEPTH_MAX) return undefined
  if (typeof value === 'string')
    return value.length <= ATTRIBUTE_STRING_LENGTH_MAX ? value : undefined
  if (value === null || typeof value !== 'object')
    return typeof value === 'function' || typeof value === 'symbol' ? undefined : value
  if (value instanceof Date) return value
  if (Array.isArray(value)) {
    if (value.length > left.values) return undefined
    const copies = value.map((element) => copyValue(element, left, depth + 1))
    return copies.includes(undefined) ? undefined : copies
  }
  if (!isPlain(value)) return undefined
  const copy: { [name: string]: unknown } = Object.create(null)
  for (const [name, part] of Object.entries(value)) {
    if (part === undefined) continue
    const copied = copyValue(part, left, depth + 1)
    if (copied === undefined) return undefined
    copy[name] = copied
  }
  return copy
}

/** Own keys only, one by one: `Object.assign` would let a parsed `__proto__` set the prototype. */
const bagOf = (attributes: Bag | undefined, last: Bag): Bag => {
  const bag: { [name: string]: unknown } = Object.create(null)
  if (attributes)
    for (const name of Object.keys(attributes)) {
      const value = attributes[name]
      if (value === undefined) continue
      const copy = copyValue(value, { values: ATTRIBUTE_VALUES_MAX }, 0)
      bag[name] = copy === undefined ? UNREADABLE : copy
    }
  for (const name of Object.keys(last)) bag[name] = last[name]
  return bag
}

const resourceBag = ({ type, id, owner, attributes, registered }: EnvironmentInput['resource']) => {
  // "May update its own" must not answer "may update any".
  if (id === undefined || id === null) return bagOf(undefined, { type })
  if (registered || owner !== undefined)
    return bagOf(attributes, { owner: owner ?? null, type, id })
  return bagOf(attributes, { type, id })
}

/**
 * What conditions read about one question: flat bags without a prototype, in which `type`, `id`, `name` and a
 * known `owner` are written last so that no attribute replaces them. A question about a whole type has only
 * `resource.type`. An attribute with more than 512 values, a string of more than 1,024 characters or more
 * than 16 levels makes the conditions that read it fail. (So does an attribute called `constructor`, for
 * its whole bag: the CEL library takes it for the bag's class.)
 */
export const environmentOf = ({
  subject,
  resource,
  action,
  context,
  now,
}: EnvironmentInput): Environment => ({
  subject: bagOf(subject.attributes, { type: subject.type, id: subject.id }),
  resource: resourceBag(resource),
  action: bagOf(action.properties, { name: action.name }),
  context: bagOf(context, {}),
  now,
})
