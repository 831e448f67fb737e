import { type Candidate, candidateText } from '../src/advisor/candidate.ts'
import type { Planner } from '../src/advisor/planner.ts'
import type { NamedQuery } from './advice-best.ts'
import type { BuiltIndexes } from './advice-built.ts'
import { type Figure, median, percentile } from './figures.ts'

type Pair = {
  query: string
  index: string
  error: number
  agrees: boolean
  real: number
  said: number
}

const matters = ({ named }: NamedQuery, { table, keys }: Candidate) =>
  [...named.referenced].some(
    ([{ name }, columns]) =>
      name === table.name && keys.some((key) => !('column' in key) || columns.includes(key.column)),
  )

/** Asks the shadow and the server of each query with each index alone that has a column of it. */
export const comparePairs = async (
  planner: Planner,
  built: BuiltIndexes,
  queries: readonly NamedQuery[],
  candidates: readonly Candidate[],
): Promise<Pair[]> => {
  const pairs: Pair[] = []
  for (const each of queries)
    for (const candidate of candidates) {
      if (!matters(each, candidate)) continue
      const said = await planner.plan(each.query, { with: [candidate] })
      const real = await built.plan(each.query, [candidate])
      pairs.push({
        query: each.query.text,
        index: candidateText(candidate),
        error: Math.abs(said.cost - real.cost) / real.cost,
        agrees: said.candidates.length > 0 === real.candidates.length > 0,
        ...{ real: real.cost, said: said.cost },
      })
    }
  return pairs
}

const SIZE_ERROR_MAX = 0.25

export const figuresOfPairs = async (
  planner: Planner,
  built: BuiltIndexes,
  pairs: readonly Pair[],
  candidates: readonly Candidate[],
): Promise<Figure[]> => {
  const errors = pairs.map(({ error }) => 100 * error)
  const worst = pairs.toSorted((a, b) => b.error - a.error)[0]!
  const differ = pairs.filter(({ agrees }) => !agrees)
  const sizes = await Promise.all(
    candidates.map(async (each) => ({
      text: candidateText(each),
      ratio: (await planner.bytesOf(each)) / built.bytesOf(each),
    })),
  )
  const off = (ratio: number) => Math.abs(ratio - 1)
  const isWithin = ({ ratio }: { ratio: number }) => off(ratio) <= SIZE_ERROR_MAX
  const farthest = sizes.toSorted((a, b) => off(b.ratio) - off(a.ratio))[0]!
  const share = (part: number, of: number) => (100 * part) / of
  return [
    {
      name: 'pairs of a query and an index',
      ...{ value: pairs.length, unit: '', target: 100, reach: 'at least' as const },
      note: `${candidates.length} indexes, each alone`,
    },
    {
      name: 'cost in the shadow, off the real one',
      ...{ value: median(errors), highest: Math.max(...errors), unit: '%', target: 1 },
      note: `p90 ${percentile(errors, 0.9).toFixed(2)} %; worst: ${worst.said.toFixed(0)} for ${worst.real.toFixed(0)} units, ${worst.query.slice(0, 60)}… with ${worst.index}`,
    },
    {
      name: 'the same use of the index',
      ...{ value: share(pairs.length - differ.length, pairs.length), unit: '%' },
      ...{ target: 97, reach: 'at least' as const },
      note:
        differ.length === 0
          ? 'all'
          : `${differ.length} differ, as ${differ[0]!.query.slice(0, 60)}… with ${differ[0]!.index}`,
    },
    {
      name: 'sizes within a quarter of the real one',
      ...{ value: share(sizes.filter(isWithin).length, sizes.length), unit: '%' },
      ...{ target: 100, reach: 'at least' as const },
      note: `of ${sizes.length}; worst ${farthest.ratio.toFixed(2)} of the real size, ${farthest.text}`,
    },
  ]
}
