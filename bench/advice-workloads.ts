import type { Candidate } from '../src/advisor/candidate.ts'
import type { WorkloadQuery } from '../src/advisor/service.ts'
import type { Target } from '../src/advisor/target.ts'
import type { NamedQuery } from './advice-best.ts'
import { handMade, readNamed } from './advice-columns.ts'
import { drawLiterals, type Read, workloadOf } from './advice-literals.ts'
import { parser } from './advice-ours.ts'
import type { AdviceAmount } from './advice-schema.ts'
import { HAND_MADE_FOR_A, readsOfA } from './advice-workload-a.ts'
import { HAND_MADE_FOR_B, readsOfB } from './advice-workload-b.ts'
import { WRITE_QUERIES, written } from './advice-writes.ts'

/** Reads that are asked for advice together, and what is known of them. */
export type Workload = {
  name: 'A' | 'B'
  reads: Read[]
  queries: NamedQuery[]
  /** What the advisor is given: the reads, and the writes beside them. */
  asked: WorkloadQuery[]
  handMade: Candidate[]
}

const KINDS = [
  { name: 'A', seed: 1, readsOf: readsOfA, handMade: HAND_MADE_FOR_A },
  { name: 'B', seed: 2, readsOf: readsOfB, handMade: HAND_MADE_FOR_B },
] as const

export const readWorkloads = (target: Target, amount: AdviceAmount): Promise<Workload[]> => {
  const writes = WRITE_QUERIES.map(({ text, share }) => ({ text, calls: written(amount, share) }))
  return Promise.all(
    KINDS.map(async ({ name, seed, readsOf, handMade: texts }) => {
      const reads = readsOf(drawLiterals(seed, amount))
      const queries: NamedQuery[] = []
      for (const query of await workloadOf(parser, reads))
        queries.push({ query, named: await readNamed(parser, target, query.text) })
      const asked = await workloadOf(parser, [...reads, ...writes])
      return { name, reads, queries, asked, handMade: texts.map(handMade) }
    }),
  )
}
