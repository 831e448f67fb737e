import type { Candidate } from '../src/advisor/candidate.ts'
import type { Target } from '../src/advisor/target.ts'
import { writeCostOf } from '../src/advisor/write-cost.ts'
import type { NamedQuery } from './advice-best.ts'
import type { BuiltIndexes } from './advice-built.ts'
import type { Read } from './advice-literals.ts'
import { UPDATED } from './advice-writes.ts'
import { median } from './figures.ts'

/** A set of indexes with what the server says of it once they are built. */
export type Row = {
  name: string
  indexes: number
  used: number
  bytes: number
  /** Σ calls · cost of all reads, and with what writes cost more. */
  read: number
  net: number
  /** Seconds of all calls, of the middle of three runs each. */
  seconds: number
  costs: number[]
}

const RUNS = 3

export const rowOf = async (
  name: string,
  built: BuiltIndexes,
  target: Target,
  { queries, reads }: { queries: readonly NamedQuery[]; reads: readonly Read[] },
  candidates: readonly Candidate[],
): Promise<Row> => {
  const used = new Set<string>()
  const costs: number[] = []
  for (const { query } of queries) {
    const { cost, candidates: texts } = await built.plan(query, candidates)
    costs.push(cost)
    for (const text of texts) used.add(text)
  }
  const read = queries.reduce((sum, { query }, at) => sum + query.calls * costs[at]!, 0)
  await built.show(candidates)
  let ms = 0
  for (const [at, { query }] of queries.entries()) {
    const times: number[] = []
    for (let run = 0; run < RUNS; run++) times.push(await built.run(query, reads[at]!.values ?? []))
    ms += query.calls * median(times)
  }
  return {
    ...{ name, indexes: candidates.length, used: used.size, costs, read },
    bytes: candidates.reduce((sum, each) => sum + built.bytesOf(each), 0),
    net: read + writeCostOf(target, candidates, UPDATED),
    seconds: ms / 1000,
  }
}
