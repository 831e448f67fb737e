import { Util } from 'casbin'
import { toCasbin, toRequest } from './casbin.ts'
import { canAsk } from './chain.ts'
import { isWithin, type Span } from './closure.ts'
import { conditionHolds } from './condition.ts'
import type { IndexedPolicy } from './indexed-policy.ts'
import type { Environment, Line, PermissionLine, Question } from './line.ts'
import { linesOfStore } from './line-store.ts'
import { createGenericEngine, type GenericEngine } from './narrowed.ts'
import type { Outcome } from './outcome.ts'
import { livingLines, outcomeOf } from './slice.ts'

// Decisions for models of another shape than the compiled index knows: Casbin's own, over the organization's
// and the platform's lines.

/** Lines that were handed to Casbin, and for how long they are the right ones. */
type Loaded = Span & {
  readonly version: number
  readonly engine: GenericEngine
  /** By their words, which are all that Casbin gives back. */
  readonly permissions: ReadonlyMap<string, PermissionLine>
}

export type GenericDecider = {
  /** As Casbin decides with this model. Throws where Casbin does. */
  readonly decide: (policy: IndexedPolicy, question: Question) => Outcome
}

const spanAt = (lines: Iterable<Line>, nowMs: number): Span => {
  const span: Span = { fromMs: -Infinity, untilMs: Infinity }
  for (const { expiresAtMs } of lines) {
    if (expiresAtMs === null) continue
    if (nowMs < expiresAtMs) span.untilMs = Math.min(span.untilMs, expiresAtMs)
    else span.fromMs = Math.max(span.fromMs, expiresAtMs)
  }
  return span
}

function* allLines({ store, platform }: IndexedPolicy): Generator<Line> {
  yield* linesOfStore(platform.store)
  if (platform.store !== store) yield* linesOfStore(store)
}

/** Decides with any model that takes our lines and questions. Lines are handed to Casbin when first asked. */
export const createGenericDecider = (modelText: string): GenericDecider => {
  const loaded = new WeakMap<IndexedPolicy, Loaded>()
  // Casbin does not tell whether a condition stood in the way, so a deny is asked about once more without.
  let assumesConditions = false
  const condition = (text: string, effect: string, environment: Environment): boolean =>
    assumesConditions && effect === 'allow' ? true : conditionHolds(text, effect, environment)

  const load = (policy: IndexedPolicy, question: Question): Loaded => {
    const engine = createGenericEngine(modelText, {
      functions: { condition },
      domainMatching: { g: Util.keyMatchFunc },
    })
    const words: { readonly p: (readonly string[])[]; readonly g: (readonly string[])[] } = {
      p: [],
      g: [],
    }
    const permissions = new Map<string, PermissionLine>()
    for (const line of livingLines(policy, question)) {
      const { ptype, fields } = toCasbin(line)
      words[ptype].push(fields)
      if (line.kind === 'permission') permissions.set(JSON.stringify(fields), line)
    }
    engine.load(words)
    const { version } = policy.store
    return { ...spanAt(allLines(policy), question.nowMs), version, engine, permissions }
  }

  const loadedFor = (policy: IndexedPolicy, question: Question): Loaded => {
    const known = loaded.get(policy)
    if (known && known.version === policy.store.version && isWithin(known, question.nowMs))
      return known
    const fresh = load(policy, question)
    loaded.set(policy, fresh)
    return fresh
  }

  return {
    decide: (policy, question) => {
      const lines = () => livingLines(policy, question)
      if (!canAsk(question.subject))
        return outcomeOf({ allowed: false, line: null }, question, lines)
      const { engine, permissions } = loadedFor(policy, question)
      const lineOf = (fields: readonly string[] | null) =>
        fields === null ? null : permissions.get(JSON.stringify(fields))!
      const request = toRequest(question, question.environment())
      const { allowed, line } = engine.explain(request)
      if (allowed || line !== null)
        return outcomeOf({ allowed, line: lineOf(line) }, question, lines)
      assumesConditions = true
      try {
        const assumed = engine.explain(request)
        return outcomeOf({ allowed, line: lineOf(assumed.line) }, question, lines)
      } finally {
        assumesConditions = false
      }
    },
  }
}
