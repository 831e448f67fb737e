import type { SqlParser } from '../platform/sql-parser.ts'
import { wrappedColumns } from './condition.ts'
import type { Facts, Outcome } from './explain.ts'
import { type Placed, tableOf } from './plan.ts'
import type { Finding } from './schema.ts'

/** Rows from which a table is large. */
const LARGE_ROWS = 10_000
/** So many times more or fewer rows than expected are a bad estimate, if there are enough of them to matter. */
const ESTIMATE_FACTOR = 10
const ESTIMATE_ROWS_MIN = 100
/** A filter that keeps less than this share removes most rows. */
const KEPT_SHARE_MAX = 0.1

type Found = [code: Finding['code'], detail: string][]

const rows = (count: number) => `${Math.round(count).toLocaleString('en')} rows`

const aboutScan = ({ node }: Placed, { tables }: Facts): Found => {
  const table = tableOf(node)
  const known = tables.find(({ schema, name }) => `${schema}.${name}` === table)
  if (node['Node Type'] !== 'Seq Scan' || !known) return []
  const found: Found = []
  if (!known.hasStatistics)
    found.push([
      'statistics-missing',
      `${table} was never analyzed, so that the planner guesses; run ANALYZE.`,
    ])
  if (known.rows >= LARGE_ROWS)
    found.push([
      'sequential-scan',
      `All of ${table} is read, ${rows(known.rows)} by the last count.`,
    ])
  return found
}

const aboutFilter = ({ node }: Placed, { tables }: Facts): Found => {
  if (node.Filter === undefined) return []
  const { 'Rows Removed by Filter': removed, 'Actual Rows': kept = 0 } = node
  const known = tables.find(({ schema, name }) => `${schema}.${name}` === tableOf(node))
  const isScan = node['Node Type'] === 'Seq Scan'
  const read = removed !== undefined ? removed + kept : isScan ? (known?.rows ?? 0) : 0
  const passed = removed !== undefined ? kept : node['Plan Rows']
  if (read < LARGE_ROWS || passed > read * KEPT_SHARE_MAX) return []
  const how = removed === undefined ? 'by the estimate' : 'measured'
  return [
    [
      'filter-removes-most-rows',
      `Of ${rows(read)} that are read the filter keeps ${rows(passed)} (${how}).`,
    ],
  ]
}

const aboutEstimate = ({ node }: Placed): Found => {
  const { 'Plan Rows': expected, 'Actual Rows': actual, 'Actual Loops': loops = 0 } = node
  if (actual === undefined || loops === 0) return []
  const [less, more] = [Math.min(expected, actual), Math.max(expected, actual)]
  if (more < ESTIMATE_ROWS_MIN || more < Math.max(less, 1) * ESTIMATE_FACTOR) return []
  return [['bad-estimate', `${rows(expected)} were expected, ${rows(actual)} came.`]]
}

const aboutSort = ({ node }: Placed): Found =>
  node['Sort Space Type'] === 'Disk'
    ? [['sort-spills', `The sort took ${node['Sort Space Used']} kB on disk; work_mem is less.`]]
    : []

/** Whether an index is on what the function makes of the column. */
const hasExpression = (facts: Facts, table: string | null, name: string, column: string) =>
  facts.indexes.some(
    (index) =>
      `${index.schema}.${index.name}` === table &&
      index.expressions?.includes(`${name}(`) &&
      index.expressions.includes(column),
  )

const aboutWrapped = async (parser: SqlParser, { node }: Placed, facts: Facts): Promise<Found> => {
  if (node['Node Type'] !== 'Seq Scan' || node.Filter === undefined) return []
  const table = tableOf(node)
  const wrapped = await wrappedColumns(parser, node.Filter)
  return wrapped.flatMap((each): Found => {
    const index = facts.indexes.find(
      ({ schema, name, column }) => `${schema}.${name}` === table && column === each.column,
    )
    if (!index) return []
    if (each.by === 'function')
      return hasExpression(facts, table, each.name, each.column)
        ? []
        : [
            [
              'function-on-indexed-column',
              `${each.name}() is compared, not ${each.column}, so the index ${index.index} is of no use here.`,
            ],
          ]
    // All text is compared alike, whatever its type is called.
    if (index.isTextual && each.type === 'text') return []
    return [
      [
        'cast-on-indexed-column',
        `${each.column} is compared as ${each.type}, so the index ${index.index} is of no use here.`,
      ],
    ]
  })
}

const aboutForeignKeys = ({ node }: Placed, { foreignKeys }: Facts): Found =>
  foreignKeys
    .filter(({ schema, name }) => `${schema}.${name}` === tableOf(node))
    .map(({ constraint, columns }) => [
      'foreign-key-without-index',
      `No index begins with ${columns.join(', ')}, so the foreign key ${constraint} makes deletes and joins slow.`,
    ])

/** What is worth looking at, in the order of the plan; what is true of a table is said once. */
export const findFindings = async (
  parser: SqlParser,
  { placed, facts }: Pick<Outcome, 'placed' | 'facts'>,
): Promise<Finding[]> => {
  const findings: Finding[] = []
  const said = new Set<string>()
  for (const each of placed) {
    const { node, pointer } = each
    const table = tableOf(node)
    const isNew = table !== null && !said.has(table)
    if (table !== null) said.add(table)
    const found = [
      ...aboutScan(each, facts),
      ...aboutFilter(each, facts),
      ...(await aboutWrapped(parser, each, facts)),
      ...aboutEstimate(each),
      ...aboutSort(each),
      ...(isNew ? aboutForeignKeys(each, facts) : []),
    ]
    for (const [code, detail] of found)
      findings.push({ code, detail, node: { pointer, kind: node['Node Type'], table } })
  }
  return findings
}
