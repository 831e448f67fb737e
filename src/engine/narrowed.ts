import {
  type Assertion,
  DefaultRoleManager,
  EnforceContext,
  Enforcer,
  FunctionMap,
  type Model,
  type RoleManager,
  Util,
} from 'casbin'
import { LINK_BUDGET } from './chain.ts'
import { functionsOf, type Narrowing, readModel, type TierChoice, tierOf } from './model.ts'

// Any Casbin model, decided by Casbin. A question is asked over the lines that one conjunct of the matcher
// admits: on a dropped line the matcher is false, which moves no effect, and the others keep their order. A
// line that is dropped is not evaluated, so a pattern in it that throws no longer takes the question down.

/** Whether a name (or a domain) of a question matches one of a line, such as `Util.keyMatch2Func`. */
export type MatchingFunction = (asked: string, held: string) => boolean

/** A function for matchers. It must be synchronous and answer a boolean, a number or a string. */
// biome-ignore lint/suspicious/noExplicitAny: a matcher may pass anything.
export type MatcherFunction = (...args: any[]) => boolean | number | string

export type GenericEngineOptions = {
  /** The most lines that a question may be asked over without narrowing; 1–3 µs each. Default 5,000. */
  readonly fullScanLinesMax?: number
  /** The longest chain of links in `g`, `g2`, …: Casbin's maximal hierarchy level. Default `LINK_BUDGET`. */
  readonly linksMax?: number
  /** Functions of the matcher beyond Casbin's own, by name. */
  readonly functions?: { readonly [name: string]: MatcherFunction }
  /** How names match, by role definition (`g`, `g2`, …): Casbin's `addNamedMatchingFunc`. */
  readonly matching?: { readonly [role: string]: MatchingFunction }
  /** How domains match, by role definition: Casbin's `addNamedDomainMatchingFunc`. */
  readonly domainMatching?: { readonly [role: string]: MatchingFunction }
  /** The role definition whose links order the domains of another: Casbin's `addDomainHierarchy`. */
  readonly domainHierarchy?: { readonly [role: string]: string }
}

/** Lines by their type (`p`, `p2`, `g`, `g2`, …), in policy order. */
export type GenericLines = { readonly [ptype: string]: readonly (readonly string[])[] }

/** Which definitions decide, for models with several: Casbin's `EnforceContext`. */
export type Definitions = {
  readonly r: string
  readonly p: string
  readonly e: string
  readonly m: string
}

/** A decision and Casbin's own line for it: the last matching allow, the first deny, or none. */
export type GenericDecision = { readonly allowed: boolean; readonly line: readonly string[] | null }

export type GenericEngine = TierChoice & {
  /**
   * Replaces all lines at once. Throws an Error, and keeps the old ones, if a type is not defined, a line does
   * not have exactly the fields of its definition, or there are more lines than may be scanned.
   */
  readonly load: (lines: GenericLines) => void
  /**
   * Whether Casbin allows the request: one value for each field of `r`. Throws an Error before the first `load`
   * and where Casbin throws: a wrong number of values, a matcher that fails or is no truth value. With other
   * definitions than `r`, `p`, `e` and `m` all lines are evaluated.
   */
  readonly enforce: (request: readonly unknown[], definitions?: Definitions) => boolean
  /** Like `enforce`, with the line that decided. */
  readonly explain: (request: readonly unknown[], definitions?: Definitions) => GenericDecision
  /** The lines of `p` over which Casbin would be asked, in policy order. */
  readonly linesFor: (request: readonly unknown[]) => readonly (readonly string[])[]
}

/** About 10 ms a question. */
const FULL_SCAN_LINES_MAX = 5000

const refuse = (detail: string): never => {
  throw new Error(detail)
}

/** All definitions of a section by name. */
const definitionsOf = (model: Model, section: string): ReadonlyMap<string, Assertion> =>
  model.model.get(section) ?? new Map()

/**
 * Casbin's role manager, which otherwise keeps every domain that it is asked about: it would grow with every
 * question about a new one, and with a matching function also become slower.
 */
const forgetful = (manager: DefaultRoleManager): RoleManager => {
  const { allDomains } = manager as unknown as { allDomains: Map<string, unknown> }
  const known = new Set(allDomains.keys())
  const syncedHasLink = (name1: string, name2: string, ...domain: string[]) => {
    const linked = manager.syncedHasLink(name1, name2, ...domain)
    for (const asked of domain) if (!known.has(asked)) allDomains.delete(asked)
    return linked
  }
  return Object.assign(Object.create(manager) as RoleManager, { syncedHasLink })
}

type Loaded = {
  readonly enforcer: Enforcer
  /** Casbin's `p`; its `policy` is exchanged for the time of a question. */
  readonly permissions: Assertion
  readonly lines: string[][]
  readonly admit: (request: readonly unknown[]) => string[][]
}

/** Positions of lines by what they hold in one field; lines without the field are under undefined. */
type Positions = ReadonlyMap<string | undefined, readonly number[]>

const positionsBy = (lines: readonly string[][], field: number): Positions =>
  Map.groupBy(lines.keys(), (position) => lines[position]![field])

const positionsOf = (
  positions: Positions,
  admits: (held: string | undefined) => boolean,
): readonly number[] => {
  const groups = [...positions].flatMap(([held, group]) => (admits(held) ? [group] : []))
  return groups.length === 1 ? groups[0]! : groups.flat().sort((left, right) => left - right)
}

/** The lines that one conjunct admits for a question, as their positions. */
const admitter = (
  narrowing: Narrowing,
  lines: readonly string[][],
  model: Model,
): ((request: readonly unknown[]) => readonly number[]) => {
  const positions = positionsBy(lines, narrowing.field)
  if (narrowing.kind === 'equal')
    return (request) => {
      const asked = request[narrowing.asked]
      if (typeof asked === 'string') return positions.get(asked) ?? []
      // biome-ignore lint/suspicious/noDoubleEquals: the matcher's == is JavaScript's, and 1 == "1" there.
      return positionsOf(positions, (held) => asked == held)
    }
  const { rm } = definitionsOf(model, 'g').get(narrowing.role)!
  return (request) => {
    const linked = Util.generateSyncedGFunction(rm)
    const domain = narrowing.domain ? [narrowing.domain(request)] : []
    return positionsOf(positions, (held) => linked(request[narrowing.asked], held, ...domain))
  }
}

/** The smallest set of lines that an equality admits, or what the first role conjunct admits. */
const admitterOf = (narrowings: readonly Narrowing[], lines: string[][], model: Model) => {
  const equal = narrowings.filter(({ kind }) => kind === 'equal')
  const chosen = equal.length > 0 ? equal : narrowings.slice(0, 1)
  const admitters = chosen.map((narrowing) => admitter(narrowing, lines, model))
  return (request: readonly unknown[]): string[][] => {
    const sets = admitters.map((admit) => admit(request))
    const smallest = sets.reduce((left, right) => (right.length < left.length ? right : left))
    return smallest.map((position) => lines[position]!)
  }
}

const checkFunctions = (model: Model, functions: GenericEngineOptions['functions'] = {}) => {
  const builtIn = FunctionMap.loadFunctionMap().getFunctions() as Map<string, unknown>
  const taken = Object.keys(functions).find((name) => builtIn.has(name))
  if (taken) refuse(`The function ${taken} cannot be replaced: Casbin keeps its own.`)
  // `eval` is no function: Casbin pastes the rule into the matcher.
  const roles = definitionsOf(model, 'g')
  const isKnown = (name: string) =>
    builtIn.has(name) || Object.hasOwn(functions, name) || roles.has(name) || name === 'eval'
  const unknown = functionsOf(model).find(({ name }) => !isKnown(name))
  if (unknown)
    refuse(`The matcher ${unknown.matcher} calls ${unknown.name}, and there is no such function.`)
}

const checkRoles = (model: Model, options: GenericEngineOptions) => {
  const { matching = {}, domainMatching = {}, domainHierarchy = {} } = options
  const named = [matching, domainMatching, domainHierarchy].flatMap(Object.keys)
  const unknown = [...named, ...Object.values(domainHierarchy)].find(
    (role) => !definitionsOf(model, 'g').has(role),
  )
  if (unknown) refuse(`The model defines no role ${unknown}.`)
}

const takeLines = (model: Model, lines: GenericLines) => {
  for (const [ptype, rows] of Object.entries(lines)) {
    const section = ptype.slice(0, 1)
    const definition = definitionsOf(model, section).get(ptype)
    if (!definition || !['p', 'g'].includes(section))
      return refuse(`The model defines no ${ptype}, so there can be no such lines.`)
    const { length } = section === 'p' ? definition.tokens : definition.value.split(',')
    const odd = rows.find((row) => row.length !== length)
    if (odd)
      refuse(
        `A line of ${ptype} has ${length} fields, and this has ${odd.length}: ${odd.join(', ')}.`,
      )
    definition.policy = rows.map((row) => [...row])
  }
}

/** Casbin's own order: by `priority` if there is such a field, or by the depth of the subject. */
const sortLines = (enforcer: Enforcer) => {
  enforcer.sortPolicies()
  enforcer.getModel().sortPoliciesBySubjectHierarchy()
}

/**
 * Role managers with all links. The promises of Casbin's role manager are settled when it returns them, and
 * nothing here waits for them.
 */
const linkRoles = (model: Model, options: GenericEngineOptions) => {
  const managers = new Map<string, DefaultRoleManager>()
  for (const [role, definition] of definitionsOf(model, 'g')) {
    const manager = new DefaultRoleManager(options.linksMax ?? LINK_BUDGET)
    const [matching, domainMatching] = [options.matching?.[role], options.domainMatching?.[role]]
    if (matching) void manager.addMatchingFunc(matching)
    if (domainMatching) void manager.addDomainMatchingFunc(domainMatching)
    for (const [name, held, ...domain] of definition.policy)
      void manager.addLink(name!, held!, ...domain)
    managers.set(role, manager)
    definition.rm = forgetful(manager)
  }
  for (const [role, over] of Object.entries(options.domainHierarchy ?? {}))
    void managers.get(role)!.addDomainHierarchy(managers.get(over)!)
}

const checkScan = (key: string, { policy }: Assertion, options: GenericEngineOptions) => {
  const linesMax = options.fullScanLinesMax ?? FULL_SCAN_LINES_MAX
  if (policy.length > linesMax)
    refuse(
      `There are ${policy.length} lines of ${key} that nothing narrows, and at most ${linesMax} are scanned for a question.`,
    )
}

const loadLines = (
  modelText: string,
  options: GenericEngineOptions,
  { tier, narrowings }: TierChoice,
  given: GenericLines,
): Loaded => {
  const model = readModel(modelText)
  takeLines(model, given)
  const permissions = definitionsOf(model, 'p').get('p')!
  if (tier === 'full') checkScan('p', permissions, options)
  const enforcer = new Enforcer()
  enforcer.setModel(model)
  for (const [name, implementation] of Object.entries(options.functions ?? {}))
    void enforcer.addFunction(name, implementation)
  sortLines(enforcer)
  linkRoles(model, options)
  const lines = permissions.policy
  const admit = tier === 'full' ? () => lines : admitterOf(narrowings, lines, model)
  return { enforcer, permissions, lines, admit }
}

/**
 * A decider for any Casbin model, without a compiled index: as Casbin decides, over the lines that can matter.
 * Synchronous throughout, so it also runs where nothing may wait. Throws an Error for a malformed model, an
 * unknown function in a matcher, or an option that names a role definition which the model does not have.
 */
export const createGenericEngine = (
  modelText: string,
  options: GenericEngineOptions = {},
): GenericEngine => {
  const model = readModel(modelText)
  const choice = tierOf(model)
  checkFunctions(model, options.functions)
  checkRoles(model, options)
  let loaded: Loaded | undefined

  const current = () => loaded ?? refuse('No lines are loaded.')

  /** Asks while only the admitted lines are there; nothing can come in between, all is synchronous. */
  const ask = (request: readonly unknown[], definitions: Definitions | undefined) => {
    const { enforcer, permissions, lines, admit } = current()
    if (definitions) {
      const { r, p, e, m } = definitions
      const scanned = definitionsOf(enforcer.getModel(), 'p').get(p)
      checkScan(p, scanned ?? refuse(`The model defines no ${p}.`), options)
      return enforcer.enforceExSync(new EnforceContext(r, p, e, m), ...request)
    }
    const admitted = admit(request)
    // Without any line Casbin would ask the matcher about a line of empty words; a dropped one does not match.
    permissions.policy = admitted.length > 0 ? admitted : lines.slice(0, 1)
    try {
      return enforcer.enforceExSync(...request)
    } finally {
      permissions.policy = lines
    }
  }

  return {
    ...choice,
    load: (lines) => {
      loaded = loadLines(modelText, options, choice, lines)
    },
    enforce: (request, definitions) => ask(request, definitions)[0],
    explain: (request, definitions) => {
      const [allowed, line] = ask(request, definitions)
      return { allowed, line: line.length > 0 ? line : null }
    },
    linesFor: (request) => current().admit(request),
  }
}
