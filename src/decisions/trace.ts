import { toCasbin } from '../engine/casbin.ts'
import { decodeTyped } from '../engine/encoding.ts'
import type { Explanation, NearMiss } from '../engine/engine.ts'
import type { Line } from '../engine/line.ts'

/** Where a permission line holds its condition: text that was never encoded. */
const CONDITION_FIELD = 4

/** A line in Casbin's words, its ids readable again. */
const wordsOf = (line: Line): string[] => {
  const { ptype, fields } = toCasbin(line)
  const readable = fields.map((field, index) =>
    index === CONDITION_FIELD ? field : decodeTyped(field),
  )
  return [ptype, ...readable]
}

const missInWords = (miss: NearMiss): string => {
  const words = wordsOf(miss.line).join(', ')
  if (miss.kind === 'condition')
    return `${words} (its condition ${miss.failed ? 'failed' : 'does not hold'})`
  return words
}

/** How a decision came about, as the API shows it. */
export const traceOf = (explanation: Explanation) => ({
  line: explanation.line && wordsOf(explanation.line),
  chain: explanation.chain.map((link) => wordsOf(link).join(', ')),
  conditions: explanation.conditions.map(({ line, applies, failed }) => ({
    condition: line.condition ?? 'true',
    holds: failed ? null : applies,
  })),
  nearestMisses: explanation.nearest.map(missInWords),
})
