import { type CasbinLine, type Slices, toCasbin, toRequest } from './casbin.ts'
import { findChain } from './chain.ts'
import type { IndexedPolicy } from './indexed-policy.ts'
import type { Environment, Line, PermissionLine, Question, RoleLine } from './line.ts'
import { linesOfStore, linesOfSubject } from './line-store.ts'
import type { Because, Outcome, OutcomeCode } from './outcome.ts'

// The few lines that can matter for one subject, asked of Casbin. They come from a plain walk over the lines,
// without a look at places or depth, so that a mistake of the index does not repeat itself here.

const lives = ({ expiresAtMs }: Line, nowMs: number) => expiresAtMs === null || nowMs < expiresAtMs

const storesOf = ({ store, platform }: IndexedPolicy, organizationId: string | null) =>
  organizationId === null || platform.store === store ? [platform.store] : [platform.store, store]

/** A role on another resource gives nothing; a team may hold thousands, and each would be a domain for Casbin. */
const isOnOther = (line: Line, { type, id }: Question) =>
  line.kind === 'role' &&
  line.resource !== null &&
  (line.resource.type !== type || line.resource.id !== id)

/**
 * Every line that holds at this time and is one of the subjects', or of a role or team that can be reached from
 * them in any place; without roles on other resources than the one in question.
 */
export const reachableLines = (
  policy: IndexedPolicy,
  subjects: readonly string[],
  question: Question,
): Line[] => {
  const { organizationId, nowMs } = question
  const lines: Line[] = []
  const reached = new Set(subjects)
  for (const subject of reached)
    for (const store of storesOf(policy, organizationId))
      for (const line of linesOfSubject(store, subject)) {
        if (!lives(line, nowMs) || isOnOther(line, question)) continue
        lines.push(line)
        if (line.kind === 'role') reached.add(line.holds)
      }
  return lines
}

/** Every line that can matter for a model which may look at more than the subject's: all that hold now. */
export const livingLines = (
  policy: IndexedPolicy,
  { organizationId, nowMs }: Pick<Question, 'organizationId' | 'nowMs'>,
): Line[] =>
  storesOf(policy, organizationId).flatMap((store) =>
    [...linesOfStore(store)].filter((line) => lives(line, nowMs)),
  )

/** Casbin's decision, with its own deciding line; null for a deny by default. */
export type LineDecision = { readonly allowed: boolean; readonly line: PermissionLine | null }

/** Asks Casbin about these lines and no others. */
export const decideOver = (
  slices: Slices,
  lines: readonly Line[],
  question: Question,
  environment: Environment,
): LineDecision => {
  const words = lines.map(toCasbin)
  const { allowed, fields } = slices.decide(words, toRequest(question, environment))
  const at = words.findIndex((line: CasbinLine) => line.fields === fields)
  return { allowed, line: at < 0 ? null : (lines[at] as PermissionLine) }
}

const isRole = (line: Line): line is RoleLine => line.kind === 'role'

const codeOf = ({ allowed, line }: LineDecision, { subject }: Question): OutcomeCode => {
  if (allowed) return line?.subject === subject ? 'grant' : 'role'
  if (line === null) return 'no-match'
  return line.effect === 'deny' ? 'denied' : 'condition'
}

/** What Casbin decided as an outcome. `lines` are those in which the chain of roles is looked for. */
export const outcomeOf = (
  decision: LineDecision,
  question: Question,
  lines: () => readonly Line[],
): Outcome => {
  const { subject, organizationId, workspaceId, type, id } = question
  let found: Because | null | undefined
  const find = (): Because | null => {
    const { line } = decision
    if (line === null) return null
    const asked = {
      organizationId,
      workspaceId: organizationId === null ? null : workspaceId,
      type,
      id,
    }
    const ends = { from: subject, to: line.subject }
    return { line, chain: findChain(lines().filter(isRole), asked, ends) ?? [] }
  }
  return {
    allowed: decision.allowed,
    code: codeOf(decision, question),
    because: () => {
      if (found === undefined) found = find()
      return found
    },
  }
}
