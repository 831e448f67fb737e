import { toCasbin } from '../engine/casbin.ts'
import { decodeTyped } from '../engine/encoding.ts'
import type { Explanation, NearMiss } from '../engine/engine.ts'
import type { Line } from '../engine/line.ts'

/** A line in Casbin's words, its ids readable again. */
const wordsOf = (line: Line): string[] => {
  const { ptype, fields } = toCasbin(line)
  return [ptype, ...fields.map(decodeTyped)]
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
