import type { Asking } from './advice-ours.ts'
import type { Row } from './advice-rows.ts'
import type { Best } from './advice-truth.ts'
import type { Workload } from './advice-workloads.ts'
import type { Figure } from './figures.ts'
import type { Section } from './report.ts'

/** How far from the best known advice may be. */
const RATIO_MAX = { A: 1.1, B: 1.25 }
const ADVICE_SECONDS_MAX = 30

const LOSSES = 8
const millions = (units: number) => `${(units / 1e6).toFixed(3)} M`

/** What was advised for reads alone is held against the best known for reads, what weighs writes against that for both. */
const targetOf = (name: Workload['name'], row: Row, of: 'reads' | 'both') =>
  row.name === (of === 'reads' ? 'ours, reads alone' : 'ours') ? RATIO_MAX[name] : undefined

/** Where the row loses most against the other: the queries, and what they cost there and here. */
const lossesOf = ({ reads }: Workload, row: Row, best: Row): Figure[] =>
  reads
    .map(({ text, calls }, at) => ({
      text: text.replace(/\s+/g, ' '),
      lost: calls * (row.costs[at]! - best.costs[at]!),
      costs: `${row.costs[at]!.toFixed(0)} instead of ${best.costs[at]!.toFixed(0)} units, ${calls} calls`,
    }))
    .sort((a, b) => b.lost - a.lost)
    .slice(0, LOSSES)
    .map(({ text, lost, costs }) => ({
      ...{ name: text.slice(0, 90), value: (100 * lost) / best.read, unit: '% of the best' },
      note: costs,
    }))

/** What the advisor said that all reads would cost, beside what they do. */
const foretold = ({ queries }: Workload, { advice }: Asking, { name, read }: Row): Figure => {
  const said = new Map(advice.queries.map(({ fingerprint, after }) => [fingerprint, after]))
  const sum = queries.reduce(
    (all, { query }) => all + query.calls * (said.get(query.fingerprint) ?? 0),
    0,
  )
  return {
    ...{ name: `${name}: as the advisor foretold it`, value: sum / read, unit: '× real' },
    note: `${millions(sum)} units were foretold`,
  }
}

export const sectionsOfRows = (
  workload: Workload,
  rows: readonly Row[],
  best: Pick<Best, 'floor' | 'how'>,
  asked: Asking,
): Section[] => {
  const { name, reads } = workload
  const read = Math.min(...rows.map((row) => row.read))
  const net = Math.min(...rows.map((row) => row.net))
  const ours = rows.find((row) => row.name === 'ours')!
  const known = rows.find((row) => row.read === read)!
  return [
    {
      title: `Workload ${name}, ${reads.length} reads: what reads cost`,
      figures: [
        ...rows.map((row) => ({
          ...{ name: row.name, value: row.read / read, unit: '× best known' },
          target: targetOf(name, row, 'reads'),
          note: `${row.indexes} indexes, ${row.used} used; ${Math.round(row.bytes / 1e6)} MB; ${millions(row.read)} units; all calls run ${row.seconds.toFixed(1)} s`,
        })),
        {
          name: 'floor: everything there at once, in the shadow',
          ...{ value: best.floor / read, unit: '× best known' },
          note: `best known: ${best.how}`,
        },
        foretold(workload, asked, ours),
      ],
    },
    {
      title: `Workload ${name}: what reads and writes cost`,
      figures: rows.map((row) => ({
        ...{ name: row.name, value: row.net / net, unit: '× best known' },
        target: targetOf(name, row, 'both'),
        note: `${millions(row.net)} units, of which writes ${millions(row.net - row.read)}`,
      })),
    },
    {
      title: `Workload ${name}: where ours loses most against the best known for reads`,
      figures: lossesOf(workload, ours, known),
    },
  ]
}

/** How long it took, and how often a planner was asked. */
export const figureOfAsking = ({ name, advice, seconds }: Asking): Figure => {
  const passed = advice.queries.filter(({ passedOver }) => passedOver !== null).length
  return {
    ...{ name: `advice for ${name}`, value: seconds, unit: 's' },
    target: ADVICE_SECONDS_MAX,
    note: `${advice.plans} questions to the planner; ${passed} of ${advice.queries.length} queries passed over`,
  }
}

/** Whether it is content with what it has advised. */
export const figureOfAgain = ({ name, advice }: Asking): Figure => ({
  name: `${name}: indexes advised`,
  ...{ value: advice.indexes.length, unit: '', target: 0 },
  note: advice.indexes.map(({ text }) => text).join('; '),
})
