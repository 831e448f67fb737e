import type { Candidate } from '../src/advisor/candidate.ts'
import { connect, type Sql } from '../src/platform/db/connect.ts'
import { type BuiltIndexes, openBuilt } from './advice-built.ts'
import { figureOfAgain, figureOfAsking, sectionsOfRows } from './advice-figures.ts'
import { type Asking, askAdvisor, askAnchors, openOwnShadow } from './advice-ours.ts'
import { comparePairs, figuresOfPairs } from './advice-pairs.ts'
import { type Row, rowOf } from './advice-rows.ts'
import { type AdviceAmount, loadTables } from './advice-schema.ts'
import { once, searchAmongBuilt, searchInShadow } from './advice-truth.ts'
import { readWorkloads, type Workload } from './advice-workloads.ts'
import { writeAndAnalyze } from './advice-writes.ts'
import { step } from './progress.ts'
import type { Section } from './report.ts'

const RUN_SECONDS_MAX = 120
/** What a budget of 100 MB is beside 400,000 executions. */
const BUDGET_BYTES_EACH = 250

/** Asks once more with the advised indexes there. */
const askAgain = async (
  sql: Sql,
  built: BuiltIndexes,
  { asked }: Workload,
  { name, candidates }: Asking,
) => {
  await built.build(candidates)
  await built.show(candidates)
  return askAdvisor(sql, asked, `${name}, once more with these`)
}

/** Builds what is known already; between, asks for each workload what is still advised. */
const buildAndAskAgain = async (
  sql: Sql,
  built: BuiltIndexes,
  workloads: readonly Workload[],
  ours: readonly Asking[],
  sets: readonly Record<string, Candidate[]>[],
): Promise<Asking[]> => {
  const again: Asking[] = []
  for (const [at, each] of workloads.entries())
    again.push(await askAgain(sql, built, each, ours[at]!))
  await built.build(once(sets.flatMap((each) => Object.values(each).flat())))
  return again
}

/** Indexes advised for workloads over tables of the product's shape, beside other rules and the best known, all really built. */
export const benchAdvice = async (url: string, amount: AdviceAmount): Promise<Section[]> => {
  const startedAtMs = performance.now()
  const sql = connect({ url }, { connectionsMax: 1 })
  const rows = await loadTables(sql, amount)
  await writeAndAnalyze(sql, amount)
  const { target, planner } = await openOwnShadow(sql)
  try {
    const workloads = await readWorkloads(target, amount)
    const pair = [workloads[0]!, workloads[1]!] as const
    const bytesMax = BUDGET_BYTES_EACH * amount.executions
    const budget = `≤ ${Math.round(bytesMax / 1e6)} MB`
    const ours: Asking[] = []
    for (const { name, asked } of pair) ours.push(await askAdvisor(sql, asked, name))
    // What is timed was asked alone; these are asked side by side. A budget is asked of where there is time for it.
    const [ofA, ofB, small] = await Promise.all([
      askAdvisor(sql, pair[0].asked, 'A, reads alone', { isOfReads: true }),
      askAdvisor(sql, pair[1].asked, 'B, reads alone', { isOfReads: true }),
      amount.isWithBudget
        ? askAdvisor(sql, pair[0].asked, `A, ${budget}`, { budgetBytes: bytesMax })
        : undefined,
    ])
    const ofReads = [ofA, ofB]
    const others = await askAnchors(
      url,
      planner,
      pair.map(({ queries }) => ({ target, queries })),
    )
    const sets = pair.map((_, at): Record<string, Candidate[]> => {
      const { conditions, singles, passes } = others.sets[at]!
      return {
        none: [],
        'one index per WHERE and JOIN column': conditions,
        'rule of index_advisor': singles,
        'rule of dexter': passes,
        ours: ours[at]!.candidates,
        'ours, reads alone': ofReads[at]!.candidates,
        ...(at === 0 && small && { [`ours, ${budget}`]: small.candidates }),
      }
    })
    const second = await openOwnShadow(sql)
    const built = await openBuilt(sql)
    // The shadows are asked while the server builds; whoever asks once more is not timed.
    const [pools, again] = await Promise.all([
      Promise.all([
        searchInShadow(
          planner,
          target,
          pair[0],
          Object.values(sets[0]!),
          small && { bytesMax, from: small.candidates },
        ),
        searchInShadow(second.planner, target, pair[1], Object.values(sets[1]!)),
      ]).finally(() => second.planner.close()),
      buildAndAskAgain(sql, built, pair, ours, sets),
    ])

    const wanted = sets.flatMap((each, at) => [
      ...Object.values(each).flat(),
      ...pools[at]!.found,
      ...(pools[at]!.small ?? []),
    ])
    const building = step('build indexes', once(wanted).length)
    await built.build(once(wanted), (done) => building.at(done))
    building.done()

    const sections: Section[] = []
    for (const [at, each] of pair.entries()) {
      const own = sets[at]!
      const starts = [pools[at]!.found, own['rule of dexter']!, own.ours!]
      const best = await searchAmongBuilt(built, target, each, pools[at]!, starts)
      const smallest = pools[at]!.small
      const all = {
        ...own,
        ...(smallest && { [`best known of ${budget}, net`]: smallest }),
        ...{ 'best known, reads': best.read, 'best known, net': best.net },
      }
      const asking = step(`${each.name}: costs and times of all rows`, Object.keys(all).length)
      const measured: Row[] = []
      for (const [name, set] of Object.entries(all)) {
        asking.at(measured.length, name)
        measured.push(await rowOf(name, built, target, each, set))
      }
      asking.done()
      sections.push(...sectionsOfRows(each, measured, best, ours[at]!))
    }

    const comparing = step('pairs of queries and indexes')
    const pairs = []
    for (const [at, { queries }] of pair.entries())
      pairs.push(
        ...(await comparePairs(planner, built, queries, once(Object.values(sets[at]!).flat()))),
      )
    const compared = once(sets.flatMap((each) => Object.values(each).flat()))
    const shadow = await figuresOfPairs(planner, built, pairs, compared)
    comparing.done()
    return [
      ...sections,
      { title: 'The shadow beside the server', figures: shadow },
      {
        title: `Advising over ${rows.toLocaleString('en')} rows`,
        figures: [
          ...ours.map(figureOfAsking),
          ...again.map(figureOfAgain),
          {
            name: 'the whole run',
            value: (performance.now() - startedAtMs) / 1000,
            ...{ unit: 's', target: RUN_SECONDS_MAX },
            note: `the rules of others asked ${others.how}`,
          },
        ],
      },
    ]
  } finally {
    await planner.close()
    await sql.end()
  }
}
