import { findChain } from './chain.ts'
import type { Holding, LineAt } from './closure.ts'
import type { PermissionLine, RoleLine } from './line.ts'
import {
  BROAD_START,
  expiryAt,
  isRoleLine,
  type Names,
  nextLine,
  unpackLine,
} from './packed-lines.ts'
import type { View } from './view.ts'

/**
 * Why a decision came out as it did.
 *
 * - `role`: allowed by a line of a role or team that the subject holds, whether or not it has its own
 * - `grant`: allowed by a line of the subject itself
 * - `denied`: a deny line matched, or its condition failed
 * - `condition`: only lines that allow under a condition matched, and none of the conditions held
 * - `no-match`: no line matched
 */
export type OutcomeCode = 'role' | 'grant' | 'denied' | 'condition' | 'no-match'

/** The deciding line, and the role lines that lead from the subject of the question to the line's subject. */
export type Because = { readonly line: PermissionLine; readonly chain: readonly RoleLine[] }

/** A decision. The same object may come again for the same subject, place, type and action. */
export type Outcome = {
  readonly allowed: boolean
  readonly code: OutcomeCode
  /**
   * What decided; null for no-match, and where another model allows without a line. Found when first asked
   * for, then remembered. For `condition` it is the first line whose condition did not hold.
   */
  because(): Because | null
  /**
   * Room for a caller's sentence, so that it is composed once per outcome. It may name subject, place, type,
   * action and the deciding line, and not the resource of the question: other questions get it too.
   */
  reason?: string | undefined
}

/** Lines of which the conditions must be asked before this outcome stands. */
export type Conditions = {
  readonly allowIf: readonly LineAt[]
  readonly denyIf: readonly LineAt[]
}

/** The resource and time of a question that an outcome belongs to alone. */
export type Instance = { readonly type: string; readonly id: string | null; readonly nowMs: number }

/** An outcome with what is needed to tell its cause. */
export type StoredOutcome = Outcome & {
  /** null when no condition can change it. */
  readonly conditions: Conditions | null
  readonly view: View | null
  readonly line: LineAt | null
  readonly instance: Instance | null
  found: Because | null | undefined
  /** Under which its view keeps it, and the one kept before. */
  key: number
  next: StoredOutcome | null
}

const ownHoldings = ({ subject, onPlatform, inOrganization }: View): Holding[] =>
  [onPlatform, inOrganization].flatMap((packed) => (packed ? [{ subject, packed }] : []))

const roleLines = (
  holdings: readonly Holding[],
  names: Names,
  holdsNow: (expiryMs: number, isOnResource: boolean) => boolean,
): RoleLine[] => {
  const lines: RoleLine[] = []
  for (const { subject, packed } of holdings)
    for (let at = BROAD_START; at < packed.length; at = nextLine(packed, at)) {
      if (!isRoleLine(packed, at)) continue
      const line = unpackLine(packed, at, subject, names) as RoleLine
      if (holdsNow(expiryAt(packed, at), line.resource !== null)) lines.push(line)
    }
  return lines
}

const findBecause = ({ view, line, instance }: StoredOutcome): Because | null => {
  if (view === null || line === null) return null
  const { names, workspaceId } = view.place
  // A line that held when the view was compiled does not expire before the view does.
  const holdsNow = (expiryMs: number, isOnResource: boolean) =>
    isOnResource ? instance !== null && instance.nowMs < expiryMs : expiryMs > view.span.fromMs
  const lines = roleLines([...ownHoldings(view), ...view.closure.holdings], names, holdsNow)
  const { type = '', id = null } = instance ?? {}
  const asked = { organizationId: names.organizationId, workspaceId, type, id }
  const chain = findChain(lines, asked, { from: view.subject, to: line.subject })
  return {
    line: unpackLine(line.packed, line.at, line.subject, names) as PermissionLine,
    chain: chain ?? [],
  }
}

/** Shared by all outcomes, so that none has a function of its own. */
function because(this: StoredOutcome): Because | null {
  if (this.found === undefined) this.found = findBecause(this)
  return this.found
}

/** An outcome whose cause is told when asked for. */
export const createOutcome = (
  code: OutcomeCode,
  view: View | null,
  line: LineAt | null,
  conditions: Conditions | null,
  instance: Instance | null,
): StoredOutcome => ({
  key: 0,
  next: null,
  conditions,
  allowed: code === 'role' || code === 'grant',
  code,
  reason: undefined,
  because,
  view,
  line,
  instance,
  found: undefined,
})
