import type { RefusedIndex } from './advice.ts'
import { type Candidate, candidateText } from './candidate.ts'
import { basicCandidates, type CandidateLimits } from './candidates.ts'
import type { Costs } from './costs.ts'
import { extendedCandidates } from './extended.ts'
import type { Target } from './target.ts'
import type { Examined } from './workload.ts'

/** The candidates that lower what one query costs. */
export type Shortlist = {
  /** By their text; what the choice is made from. */
  kept: Map<string, Candidate>
  /** Sets that the planner uses together. */
  bundles: string[][]
  /** All that were looked at for this query: the rest of them is of no use to it. */
  seen: Map<string, Candidate>
  refused: RefusedIndex[]
  /** What the query costs with each of the basic ones alone. */
  singles: Map<string, number>
}

/** A candidate that alone lowers the query's cost by less is left out. */
const GAIN_SHARE_MIN = 0.01
const KEPT_MAX = 12
/** So many candidates are made wider by one column. */
const WIDENED_MAX = 8
/** How often the planner is asked what it would use without what it has used so far. */
const LAYERS = 3
/** A planner is not given more at once. */
const AT_ONCE_MAX = 120

const CONSIDERED_MAX = 150

/**
 * Asks for layers of a set: what the planner uses of all of them, then of those left, as long as that lowers the cost.
 */
const layersOf = async (
  costs: Costs,
  { query, base }: Examined,
  candidates: readonly Candidate[],
): Promise<string[][]> => {
  const layers: string[][] = []
  let left = candidates.slice(0, AT_ONCE_MAX)
  for (let layer = 0; layer < LAYERS && left.length > 0; layer++) {
    const costed = await costs.costOf(query, left)
    if (!costed || costed.candidates.length === 0) break
    if (costed.cost > base!.cost * (1 - GAIN_SHARE_MIN)) break
    layers.push(costed.candidates)
    const used = new Set(costed.candidates)
    left = left.filter((each) => !used.has(candidateText(each)))
  }
  return layers
}

const byText = (candidates: readonly Candidate[]) =>
  new Map(candidates.map((each) => [candidateText(each), each]))

/** Not one of the many that carry columns or hold some rows only: those are tried together. */
const isPlain = ({ include, where }: Candidate) => include.length === 0 && where === null

/** Finds the candidates that are worth to be chosen from, for one query. */
export const shortlistOf = async (
  costs: Costs,
  target: Target,
  examined: Examined,
  limits: CandidateLimits,
): Promise<Shortlist> => {
  const { query, base, relations } = examined
  const found = basicCandidates(relations, target, limits)
  const basic = found.candidates.slice(0, CONSIDERED_MAX)
  const answers = await Promise.all(
    basic.filter(isPlain).map(async (candidate) => ({
      candidate,
      costed: await costs.costOf(query, [candidate]),
    })),
  )
  // What cannot be made is not tried together with others.
  const able = answers.flatMap(({ candidate, costed }) => (costed ? [{ candidate, costed }] : []))
  const useful = able
    .filter(({ costed }) => costed.cost <= base!.cost * (1 - GAIN_SHARE_MIN))
    .sort((a, b) => a.costed.cost - b.costed.cost)
    .map(({ candidate }) => candidate)

  const together = able.map(({ candidate }) => candidate)
  const first = await layersOf(costs, examined, together)
  const all = byText(together)
  const best = first.flat().flatMap((text) => all.get(text) ?? [])
  const wider = extendedCandidates(relations, [...best, ...useful].slice(0, WIDENED_MAX), limits)
  const widened = [...basic.filter((each) => !isPlain(each)), ...wider]
  const wide = widened.length > 0 ? await layersOf(costs, examined, [...widened, ...together]) : []
  // Beside indexes of all rows those of some are not seen: they are small, not faster.
  const rare = widened.filter(({ where }) => where !== null)
  const few = rare.length > 0 ? await layersOf(costs, examined, rare) : []

  const seen = byText([...together, ...widened])
  const bundles = [...first, ...wide, ...few]
  const texts = [...bundles.flat(), ...useful.slice(0, KEPT_MAX).map(candidateText)]
  const kept = new Map(texts.flatMap((text) => (seen.has(text) ? [[text, seen.get(text)!]] : [])))
  const singles = new Map(
    able.map(({ candidate, costed }) => [candidateText(candidate), costed.cost]),
  )
  return {
    ...{ kept, seen, singles, refused: found.refused },
    bundles: bundles.filter(({ length }) => length > 1),
  }
}
