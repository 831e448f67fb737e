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

const askAllAgain = async (
  sql: Sql,
  built: BuiltIndexes,
  workloads: readonly Workload[],
  ours: readonly Asking[],
): Promise<Asking[]> => {
  const again: Asking[] = []
  for (const [at, each] of workloads.entries())
    again.push(await askAgain(sql, built, each, ours[at]!))
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
    const others = await askAnchors(
      url,
      planner,
      pair.map(({ queries }) => ({ target, queries })),
    )
    // What is timed was asked alone; the workloads go on side by side. A budget is asked of where there is time for it.
    const small = amount.isWithBudget
      ? await askAdvisor(sql, pair[0].asked, `A, ${budget}`, { budgetBytes: bytesMax })
      : undefined
    const second = await openOwnShadow(sql)
    const built = await openBuilt(sql)
    const ofReads = pair.map(({ asked, name }) =>
      askAdvisor(sql, asked, `${name}, reads alone`, { isOfReads: true }),
    )
    const lanes = pair.map(async (each, at) => {
      const { candidates } = await ofReads[at]!
      const { conditions, singles, passes } = others.sets[at]!
      const own: Record<string, Candidate[]> = {
        none: [],
        'one index per WHERE and JOIN column': conditions,
        'rule of index_advisor': singles,
        'rule of dexter': passes,
        ours: ours[at]!.candidates,
        'ours, reads alone': candidates,
        ...(at === 0 && small && { [`ours, ${budget}`]: small.candidates }),
      }
      const shadow = at === 0 ? planner : second.planner
      const within = at === 0 && small ? { bytesMax, from: small.candidates } : undefined
      const pool = await searchInShadow(shadow, target, each, Object.values(own), within)
      return { own, pool }
    })
    // Nothing is built before the last has read what there is.
    const [again, searched] = await Promise.all([
      Promise.all(ofReads).then(() => askAllAgain(sql, built, pair, ours)),
      Promise.all(lanes),
    ]).finally(() => second.planner.close())
    const sets = searched.map(({ own }) => own)
    const pools = searched.map(({ pool }) => pool)

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
