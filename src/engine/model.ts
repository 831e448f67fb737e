import { DefaultEffector, Effect, type Model, newModelFromString, Util } from 'casbin'
import jsep from 'jsep'

// Which way of deciding a model allows. Casbin parses the model; the shapes are compared on the syntax tree of
// the matcher, which comes from the parser that Casbin uses (jsep).

/**
 * How questions about a model can be decided: by the compiled index (about 1 µs), by Casbin over the lines that
 * one conjunct of the matcher admits, or by Casbin over all lines (1–3 µs each).
 */
export type Tier = 'index' | 'narrowed' | 'full'

/**
 * A conjunct that only some lines can satisfy. `asked` and `field` are positions in the question and in the
 * line. `equal` is `r.x == p.y`; `role` is `g(r.x, p.y)` or `g(r.x, p.y, domain)`, where the domain is made
 * of the question alone.
 */
export type Narrowing =
  | { readonly kind: 'equal'; readonly asked: number; readonly field: number }
  | {
      readonly kind: 'role'
      readonly role: string
      readonly asked: number
      readonly field: number
      readonly domain: ((request: readonly unknown[]) => unknown) | null
    }

export type TierChoice = {
  readonly tier: Tier
  /** One sentence for the log. */
  readonly reason: string
  /** What may narrow the lines, in the order of the matcher; empty if the tier is `full`. */
  readonly narrowings: readonly Narrowing[]
}

/** The shape that the compiled index decides; conjuncts in any order, but the condition last. */
const INDEX_SHAPE = {
  request: ['r_sub', 'r_dom', 'r_obj', 'r_act', 'r_env'],
  policy: ['p_sub', 'p_dom', 'p_obj', 'p_act', 'p_cond', 'p_eft'],
  links: 3,
  effect: 'some(where (p_eft == allow)) && !some(where (p_eft == deny))',
  conjuncts: [
    'keyMatch(r_obj, p_obj)',
    "(r_act == p_act || p_act == '*')",
    'keyMatch(r_dom, p_dom)',
    'g(r_sub, p_sub, r_dom + r_obj)',
  ],
  last: 'condition(p_cond, p_eft, r_env)',
} as const

const SECTIONS: { readonly [section: string]: string } = {
  request_definition: 'r',
  policy_definition: 'p',
  role_definition: 'g',
  policy_effect: 'e',
  matchers: 'm',
}

const malformed = (where: string, detail: string): never => {
  throw new Error(`The model is malformed: ${where}: ${detail}.`)
}

/** Where a definition stands, as "line 6, [request_definition] r". */
type Places = ReadonlyMap<string, string>

/**
 * Reads the lines as Casbin does, to say where something is wrong: Casbin ignores sections and names that it
 * does not know, counts lines without the empty ones, and stops at the first gap in r, r2, r3.
 */
const findPlaces = (modelText: string): Places => {
  const places = new Map<string, string>()
  let section = ''
  let continued = false
  modelText.split('\n').forEach((text, index) => {
    const line = text.replace(/[#;].*$/s, '').trim()
    const where = `line ${index + 1}`
    const continues = continued
    continued = line.endsWith('\\')
    if (line === '' || continues) return
    if (line.startsWith('[') && line.endsWith(']')) {
      section = line.slice(1, -1)
      if (!Object.hasOwn(SECTIONS, section))
        malformed(
          where,
          `there is no section [${section}], only ${Object.keys(SECTIONS).join(', ')}`,
        )
      return
    }
    const key = line.slice(0, Math.max(0, line.indexOf('='))).trim()
    if (key === '') malformed(where, 'it is neither a [section] nor a definition with =')
    if (section === '') malformed(where, `${key} stands before the first [section]`)
    if (!new RegExp(`^${SECTIONS[section]}([2-9]|[1-9][0-9]+)?$`).test(key))
      malformed(
        where,
        `[${section}] cannot define ${key}, only ${SECTIONS[section]}, ${SECTIONS[section]}2, …`,
      )
    if (places.has(key)) malformed(where, `${key} is defined twice`)
    places.set(key, `${where}, [${section}] ${key}`)
  })
  return places
}

const parseWithCasbin = (modelText: string): Model => {
  try {
    return newModelFromString(modelText)
  } catch (error) {
    throw new Error(`The model is malformed: ${(error as Error).message}.`, { cause: error })
  }
}

const definitions = (model: Model, section: string) => [...(model.model.get(section) ?? [])]

/** Parses a matcher as Casbin does before it evaluates it. */
const parseMatcher = (matcher: string, where: string): jsep.Expression => {
  // What Casbin does at its first question: without it `in` is no operator.
  jsep.addBinaryOp('in', 1)
  try {
    const tree = jsep(Util.bracketCompatible(matcher))
    return tree.type === 'Compound' ? malformed(where, 'it is not one expression') : tree
  } catch (error) {
    const { description, message } = error as Error & { description?: string }
    if (description === undefined) throw error
    return malformed(where, message)
  }
}

/** The parts of an expression, itself first. */
function* partsOf(tree: unknown): Generator<jsep.Expression> {
  if (typeof tree !== 'object' || tree === null) return
  if ('type' in tree) yield tree as jsep.Expression
  for (const part of Object.values(tree)) yield* partsOf(part)
}

const namesIn = (tree: jsep.Expression) =>
  [...partsOf(tree)].flatMap((part) =>
    part.type === 'Identifier' ? [(part as jsep.Identifier).name] : [],
  )

/** The functions that the matchers of a model call, with the matcher's name. */
export const functionsOf = (model: Model): { readonly matcher: string; readonly name: string }[] =>
  definitions(model, 'm').flatMap(([matcher, { value }]) =>
    [...partsOf(parseMatcher(value, `[matchers] ${matcher}`))].flatMap((part) => {
      const { callee } = part as jsep.CallExpression
      return part.type === 'CallExpression' && callee.type === 'Identifier'
        ? [{ matcher, name: (callee as jsep.Identifier).name }]
        : []
    }),
  )

const checkDefinitions = (model: Model, places: Places) => {
  const tokens = new Set<string>()
  for (const section of ['r', 'p'])
    for (const [key, { tokens: names }] of definitions(model, section)) {
      const where = places.get(key) ?? key
      if (names.some((name) => name === `${key}_`)) malformed(where, 'a field has no name')
      if (new Set(names).size < names.length) malformed(where, 'two fields have one name')
      for (const name of names) tokens.add(name)
    }
  for (const [key, { value }] of definitions(model, 'g'))
    if (!/^_\s*,\s*_(\s*,\s*_)?$/.test(value))
      malformed(places.get(key) ?? key, `${value} is neither "_, _" nor "_, _, _"`)
  for (const [key, { value }] of definitions(model, 'e'))
    try {
      new DefaultEffector().newStream(value).pushEffect(Effect.Indeterminate)
    } catch {
      malformed(places.get(key) ?? key, `Casbin knows no effect ${value}`)
    }
  for (const [key, { value }] of definitions(model, 'm')) {
    const where = places.get(key) ?? key
    const unknown = namesIn(parseMatcher(value, where)).find(
      (name) => /^[rp][0-9]*_/.test(name) && !tokens.has(name),
    )
    if (unknown) malformed(where, `${unknown.replace('_', '.')} is not defined`)
  }
}

/**
 * Casbin's model of this text, checked further than Casbin does. Throws an Error that names the line and the
 * section: an unknown or double section or name, a missing one, a field without a name, an unknown effect, a
 * matcher that does not parse or reads a field that is not defined.
 */
export const readModel = (modelText: string): Model => {
  const places = findPlaces(modelText)
  const model = parseWithCasbin(modelText)
  const gap = [...places.keys()].find((key) => !model.model.get(key.slice(0, 1))?.has(key))
  if (gap)
    malformed(
      places.get(gap)!,
      `Casbin does not read ${gap}: the one before it is missing or empty`,
    )
  checkDefinitions(model, places)
  return model
}

const conjunctsOf = (tree: jsep.Expression): jsep.Expression[] => {
  const { operator, left, right } = tree as jsep.LogicalExpression
  return tree.type === 'LogicalExpression' && operator === '&&'
    ? [...conjunctsOf(left), ...conjunctsOf(right)]
    : [tree]
}

const fieldAt = (tree: jsep.Expression | undefined, fields: readonly string[]) =>
  tree?.type === 'Identifier' ? fields.indexOf((tree as jsep.Identifier).name) : -1

/** What an expression of the question's fields, literals and `+` gives; undefined for any other expression. */
const fromRequest = (
  tree: jsep.Expression,
  fields: readonly string[],
): ((request: readonly unknown[]) => unknown) | undefined => {
  const position = fieldAt(tree, fields)
  if (position >= 0) return (request) => request[position]
  if (tree.type === 'Literal') return () => (tree as jsep.Literal).value
  const { operator, left, right } = tree as jsep.BinaryExpression
  if (tree.type !== 'BinaryExpression' || operator !== '+') return undefined
  const [first, second] = [fromRequest(left, fields), fromRequest(right, fields)]
  // Casbin adds what JavaScript adds.
  return first && second && ((request) => (first(request) as string) + (second(request) as string))
}

type Tokens = { readonly request: readonly string[]; readonly policy: readonly string[] }

const narrowingOf = (
  tree: jsep.Expression,
  { request, policy }: Tokens,
  roles: ReadonlySet<string>,
): Narrowing | undefined => {
  if (tree.type === 'BinaryExpression' && (tree as jsep.BinaryExpression).operator === '==') {
    const { left, right } = tree as jsep.BinaryExpression
    const asked = Math.max(fieldAt(left, request), fieldAt(right, request))
    const field = Math.max(fieldAt(left, policy), fieldAt(right, policy))
    return asked >= 0 && field >= 0 ? { kind: 'equal', asked, field } : undefined
  }
  if (tree.type !== 'CallExpression') return undefined
  const { callee, arguments: args } = tree as jsep.CallExpression
  const role = (callee as jsep.Identifier).name
  const [asked, field] = [fieldAt(args[0], request), fieldAt(args[1], policy)]
  if (!roles.has(role) || asked < 0 || field < 0 || args.length > 3) return undefined
  const domain = args[2] ? fromRequest(args[2], request) : null
  return domain === undefined ? undefined : { kind: 'role', role, asked, field, domain }
}

/** Text that is the same for expressions that mean the same, up to the order around `==` and `||`. */
const canonical = (tree: jsep.Expression): string => {
  switch (tree.type) {
    case 'Literal':
      return JSON.stringify((tree as jsep.Literal).value)
    case 'Identifier':
      return (tree as jsep.Identifier).name
    case 'CallExpression': {
      const { callee, arguments: args } = tree as jsep.CallExpression
      return `${canonical(callee)}(${args.map(canonical)})`
    }
    case 'LogicalExpression':
    case 'BinaryExpression': {
      const { operator, left, right } = tree as jsep.BinaryExpression
      const sides = [canonical(left), canonical(right)]
      if (['==', '||', '&&'].includes(operator)) sides.sort()
      return `(${sides.join(` ${operator} `)})`
    }
    default:
      return JSON.stringify(tree)
  }
}

const sameWords = (left: readonly string[], right: readonly string[]) =>
  left.length === right.length && left.every((word, index) => word === right[index])

/** The first thing in which a model is not of the index's shape. */
const findDifference = (model: Model, conjuncts: readonly jsep.Expression[]) => {
  const several = ['r', 'p', 'g', 'e', 'm'].find(
    (section) => definitions(model, section).length > 1,
  )
  if (several) return `it defines ${several}2`
  const definition = (section: string) => model.model.get(section)?.get(section)
  const shape = INDEX_SHAPE
  if (!sameWords(definition('r')!.tokens, shape.request)) return 'the fields of r differ'
  if (!sameWords(definition('p')!.tokens, shape.policy)) return 'the fields of p differ'
  if (definition('g')?.value.split(',').length !== shape.links) return 'g differs'
  if (definition('e')!.value !== shape.effect) return 'the effect differs'
  const expected = [...shape.conjuncts, shape.last].map((text) => canonical(jsep(text)))
  const found = conjuncts.map(canonical)
  const odd = found.find((text) => !expected.includes(text))
  if (odd) return `the matcher holds ${odd.replace(/\b([rp])_/g, '$1.')}`
  if (new Set(found).size < expected.length) return 'a part of the matcher is missing'
  return found.at(-1) === expected.at(-1) ? undefined : 'the condition is not the last conjunct'
}

const describe = (narrowing: Narrowing, { request, policy }: Tokens) => {
  const asked = request[narrowing.asked]!.replace('_', '.')
  const field = policy[narrowing.field]!.replace('_', '.')
  if (narrowing.kind === 'equal') return `${asked} == ${field}`
  return `${narrowing.role}(${asked}, ${field}${narrowing.domain ? ', …' : ''})`
}

/** The tier of a model that `readModel` has read. */
export const tierOf = (model: Model): TierChoice => {
  const matcher = model.model.get('m')!.get('m')!.value
  const conjuncts = conjunctsOf(parseMatcher(matcher, '[matchers] m'))
  const difference = findDifference(model, conjuncts)
  const tokens = {
    request: model.model.get('r')!.get('r')!.tokens,
    policy: model.model.get('p')!.get('p')!.tokens,
  }
  const roles = new Set(definitions(model, 'g').map(([key]) => key))
  // A rule that `eval` pastes into the matcher may open its parentheses, so its conjuncts prove nothing.
  const narrowings = Util.hasEval(matcher)
    ? []
    : conjuncts.flatMap((conjunct) => narrowingOf(conjunct, tokens, roles) ?? [])
  if (!difference)
    return { tier: 'index', reason: 'The model has the shape of the compiled index.', narrowings }
  const [first] = narrowings
  if (first)
    return {
      tier: 'narrowed',
      reason: `Not the shape of the compiled index (${difference}); ${describe(first, tokens)} narrows the lines.`,
      narrowings,
    }
  return {
    tier: 'full',
    reason: `Not the shape of the compiled index (${difference}), and no conjunct narrows the lines.`,
    narrowings,
  }
}

/**
 * The fastest sound way to decide questions about a model. Throws an Error that names the line and section of
 * a malformed one.
 */
export const chooseTier = (modelText: string): TierChoice => tierOf(readModel(modelText))
