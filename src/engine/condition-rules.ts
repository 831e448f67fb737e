import type { ASTNode } from '@marcbachmann/cel-js'

/** What a condition may read: its five roots. `now` is an instant, the others are bags of attributes. */
export const CONDITION_ROOTS = ['subject', 'resource', 'action', 'context', 'now'] as const

/** The most characters a condition may have. */
export const CONDITION_LENGTH_MAX = 1024
/** The most nodes its syntax tree may have: `a.b == 1` has four. */
export const CONDITION_NODES_MAX = 200
/** How deep its expressions may sit in each other. */
export const CONDITION_DEPTH_MAX = 20
/** The most elements of a list or map written in a condition. */
export const CONDITION_LIST_LENGTH_MAX = 64
/** The most steps it may take on the largest attributes; a step is about 30 ns. */
export const CONDITION_STEPS_MAX = 1_000_000

/** The most values in one attribute, those inside lists and maps included. */
export const ATTRIBUTE_VALUES_MAX = 512
/** The most characters in one string of an attribute. */
export const ATTRIBUTE_STRING_LENGTH_MAX = 1024
/** How deep lists and maps of an attribute may sit in each other. */
export const ATTRIBUTE_DEPTH_MAX = 16

/** Why a condition is refused, and where in its text (characters from 0). */
export type ConditionRefusal = { readonly detail: string; readonly position: number }

// The longest duration one would write, such as "-876000h59m59.999999999s".
const DURATION_LENGTH_MAX = 32

/** Macros that run over a list, by their number of arguments: `list.all(x, …)`. */
const MACRO_ARGUMENTS: { readonly [name: string]: readonly number[] } = {
  all: [2],
  exists: [2],
  exists_one: [2],
  map: [2, 3],
  filter: [2],
}

/** Functions whose result grows with what they are given; all others answer something small. */
const GROWING = new Set(
  'base64 bytes dyn hex join json lowerAscii split string substring trim upperAscii'.split(' '),
)

/** Measured on strings of 1,024 characters, in steps. A time zone costs a calendar of the host each time. */
const stepsOfCall = (name: string, argumentCount: number) => {
  if (name.startsWith('get') && argumentCount === 1) return 3000
  if (name === 'size') return 400
  return GROWING.has(name) ? 200 : 50
}

/** How large a value may be (elements and characters), and how many steps it may take to get it. */
type Measure = { readonly size: number; readonly steps: number }

/** Variables of the macros around a node, with the size of what they hold. */
type Scope = {
  readonly variables: ReadonlyMap<string, number>
  readonly insideMacro: boolean
  readonly refuse: (node: ASTNode, detail: string) => void
}

const isMacro = (name: string, argumentCount: number) =>
  Object.hasOwn(MACRO_ARGUMENTS, name) && MACRO_ARGUMENTS[name]!.includes(argumentCount)

const isRoot = (name: string): boolean => (CONDITION_ROOTS as readonly string[]).includes(name)

const isBag = (node: ASTNode, scope: Scope) =>
  node.op === 'id' &&
  node.args !== 'now' &&
  isRoot(node.args as string) &&
  !scope.variables.has(node.args as string)

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)

const all = (nodes: readonly ASTNode[], scope: Scope): Measure => {
  const measures = nodes.map((node) => measure(node, scope))
  return { size: sum(measures.map(({ size }) => size)), steps: sum(measures.map((m) => m.steps)) }
}

const measureIdentifier = (node: ASTNode, name: string, scope: Scope): Measure => {
  const held = scope.variables.get(name)
  if (held !== undefined) return { size: held, steps: 1 }
  if (!isRoot(name))
    scope.refuse(
      node,
      `\`${name}\` is not known here; a condition reads ${CONDITION_ROOTS.join(', ')}`,
    )
  if (isBag(node, scope))
    scope.refuse(node, `\`${name}\` holds attributes: name one of them, as in \`${name}.type\``)
  return { size: ATTRIBUTE_VALUES_MAX, steps: 1 }
}

/** `base.name` and `base[index]`: the base may be a bag, and a part is at most as large as the whole. */
const measureAccess = (base: ASTNode, index: readonly ASTNode[], scope: Scope): Measure => {
  const parts = all(index, scope)
  if (isBag(base, scope)) return { size: ATTRIBUTE_VALUES_MAX, steps: 1 + parts.steps }
  const { size, steps } = measure(base, scope)
  return { size, steps: 1 + steps + parts.steps }
}

const measureMacro = (
  node: ASTNode,
  name: string,
  list: ASTNode,
  args: ASTNode[],
  scope: Scope,
) => {
  // One macro in or after another multiplies: each `map(a, a + a)` of a chain doubles the memory.
  if (scope.insideMacro)
    scope.refuse(node, `\`${name}\` may not stand inside, before or after another macro on a list`)
  const inside = { ...scope, insideMacro: true }
  const over = measure(list, inside)
  const [variable, ...bodies] = args
  const variables = new Map(scope.variables)
  if (variable?.op === 'id') {
    const variableName = variable.args as string
    if (isRoot(variableName))
      scope.refuse(variable, `the variable of \`${name}\` may not be called \`${variableName}\``)
    // The elements together are as large as the list, so each counts as one.
    variables.set(variableName, 1)
  }
  const body = all(bodies, { ...inside, variables })
  return {
    size: name === 'map' ? over.size * Math.max(1, body.size) : over.size,
    steps: over.steps + over.size * (1 + body.steps),
  }
}

const measureCall = (node: ASTNode, name: string, args: readonly ASTNode[], scope: Scope) => {
  if (name === 'matches')
    scope.refuse(node, '`matches` is not allowed: a pattern can take seconds to compare')
  // The library reads a duration with a pattern that needs the cube of the length: 0.6 s for 1,024 digits.
  const [text] = args
  const isShort = typeof text?.args === 'string' && text.args.length <= DURATION_LENGTH_MAX
  if (name === 'duration' && !(text?.op === 'value' && isShort))
    scope.refuse(
      node,
      `\`duration\` takes a text of at most ${DURATION_LENGTH_MAX} characters written out, as in \`duration('24h')\``,
    )
  const { size, steps } = all(args, scope)
  const spread = Math.max(1, Math.ceil(size / ATTRIBUTE_VALUES_MAX))
  const weight = stepsOfCall(name, node.op === 'rcall' ? args.length - 1 : args.length)
  // A string may have twice as many characters as an attribute has values.
  return { size: GROWING.has(name) ? 2 * size : 1, steps: steps + weight * spread }
}

const measureBinary = (node: ASTNode, [left, right]: [ASTNode, ASTNode], scope: Scope): Measure => {
  const first = measure(left, scope)
  const looksUp = node.op === 'in' && isBag(right, scope)
  const second = looksUp ? { size: 1, steps: 1 } : measure(right, scope)
  const steps = 1 + first.steps + second.steps
  switch (node.op) {
    case '+':
      return { size: first.size + second.size, steps: steps + first.size + second.size }
    case '==':
    case '!=':
      return { size: 1, steps: steps + Math.min(first.size, second.size) }
    case 'in':
      return { size: 1, steps: steps + second.size }
    default:
      return { size: 1, steps }
  }
}

const measure = (node: ASTNode, scope: Scope): Measure => {
  switch (node.op) {
    case 'value':
      return { size: typeof node.args === 'string' ? Math.max(1, node.args.length) : 1, steps: 1 }
    case 'id':
      return measureIdentifier(node, node.args, scope)
    case '.':
    case '.?':
      return measureAccess(node.args[0], [], scope)
    case '[]':
    case '[?]':
      return measureAccess(node.args[0], [node.args[1]], scope)
    case 'call':
      return measureCall(node, node.args[0], node.args[1], scope)
    case 'rcall': {
      const [name, receiver, args] = node.args
      return isMacro(name, args.length)
        ? measureMacro(node, name, receiver, args, scope)
        : measureCall(node, name, [receiver, ...args], scope)
    }
    case 'list':
    case 'map': {
      const { size, steps } = all(node.args.flat(), scope)
      return { size: Math.max(1, size), steps: 1 + size + steps }
    }
    case '?:': {
      const [condition, left, right] = node.args.map((part) => measure(part, scope))
      return {
        size: Math.max(left!.size, right!.size),
        steps: condition!.steps + left!.steps + right!.steps,
      }
    }
    case '!_':
    case '-_':
      return { size: 1, steps: 1 + measure(node.args, scope).steps }
    case '&&':
    case '||':
      return { size: 1, steps: 1 + all(node.args, scope).steps }
    default:
      return measureBinary(node, node.args, scope)
  }
}

/**
 * The first rule that a parsed condition breaks, or undefined if it keeps all of them: it names only the
 * five roots and their attributes, does not use `matches`, gives `duration` a written text, has no macro
 * inside, before or after another one, and takes at most `stepsMax` steps whatever the attributes are
 * (within the `ATTRIBUTE_…` limits). Without these rules one expression could hold the processor for
 * seconds or fill the memory.
 */
export const findConditionRefusal = (
  root: ASTNode,
  stepsMax: number,
): ConditionRefusal | undefined => {
  const refusals: ConditionRefusal[] = []
  const refuse = (node: ASTNode, detail: string) => {
    refusals.push({ detail, position: node.start })
  }
  const { steps } = measure(root, { variables: new Map(), insideMacro: false, refuse })
  if (steps > stepsMax)
    refuse(
      root,
      `it could take ${steps.toLocaleString('en-US')} steps on large attributes, and ${stepsMax.toLocaleString('en-US')} are allowed`,
    )
  return refusals[0]
}
