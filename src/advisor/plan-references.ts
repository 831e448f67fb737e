import { type SqlParser, SqlSyntaxError } from '../platform/sql-parser.ts'
import { note, readCondition } from './condition.ts'
import { readValue } from './from.ts'
import { readStatement } from './query.ts'
import { createRelation, type References, type Relation } from './relation.ts'
import { createScope, type Scope } from './scope.ts'
import { readOrder } from './sorting.ts'
import { fieldsIn } from './sql-node.ts'
import { lookUp } from './tables.ts'
import { findTable, type Target, type TargetTable } from './target.ts'

type Plan = Record<string, unknown>

const CONDITIONS = [
  ...['Filter', 'Index Cond', 'Recheck Cond', 'Join Filter', 'Hash Cond', 'Merge Cond'],
  ...['TID Cond', 'One-Time Filter'],
]

/** What plans write and no parser reads stands for a value that is not known. */
const readable = (text: string): string =>
  text
    .replace(/\((?:hashed )?(?:SubPlan|InitPlan) \d+(?: \(returns [^)]*\))?\)(?:\.col\d+)?/g, '$1')
    .replace(/\$0\b/g, '$1')

const childrenOf = (plan: Plan): Plan[] => (Array.isArray(plan.Plans) ? (plan.Plans as Plan[]) : [])

const allOf = (plan: Plan): Plan[] => [plan, ...childrenOf(plan).flatMap(allOf)]

const textsOf = (plan: Plan, key: string): string[] => {
  const value = plan[key]
  if (Array.isArray(value)) return value.map(String)
  return value === undefined ? [] : [String(value)]
}

/** Reads what a statement says; nothing where a plan says what no parser reads. */
const parsed = async (parser: SqlParser, text: string) => {
  try {
    const { statements } = await parser.parse(text)
    return fieldsIn(statements[0], 'SelectStmt')
  } catch (error) {
    if (error instanceof SqlSyntaxError) return undefined
    throw error
  }
}

/** Plans read partitions one by one; an index is of the table that they are parts of. */
const wholeOf = (target: Target, table: TargetTable | undefined): TargetTable | undefined =>
  table?.partitionOf ? wholeOf(target, findTable(target, table.partitionOf)) : table

/** The tables of a plan, each under the name that its conditions call it by. */
const relationsOf = (nodes: readonly Plan[], target: Target): Map<string, Relation> => {
  const found = new Map<string, Relation>()
  for (const node of nodes) {
    const name = node['Relation Name']
    if (typeof name !== 'string') continue
    const alias = String(node.Alias ?? name)
    const table = wholeOf(target, lookUp(target, node.Schema as string | undefined, name))
    if (table && !found.has(alias)) found.set(alias, createRelation(table, alias))
  }
  return found
}

/** A name without a table is one of the node's own table. */
const scopeOf = (node: Plan, relations: ReadonlyMap<string, Relation>): Scope => {
  const scope = createScope(null)
  const own = relations.get(String(node.Alias ?? node['Relation Name'] ?? ''))
  for (const [alias, relation] of relations)
    if (relation === own) scope.sources.unshift({ alias, relation })
    else scope.sources.push({ alias, relation })
  return scope
}

/**
 * Reads what a plan itself says of tables: its filters and conditions have views looked into, rows that a policy hides filtered, and
 * conditions moved into WITH queries.
 */
export const readPlanReferences = async (
  parser: SqlParser,
  plan: Record<string, unknown>,
  target: Target,
): Promise<References> => {
  const nodes = allOf(plan)
  const found = relationsOf(nodes, target)
  const relations = [...found.values()]
  const references: References = { relations, blocks: [], unknown: [], updates: [] }
  const reader = { target, references, sublinks: new Map(), readStatement }
  for (const node of nodes) {
    const scope = scopeOf(node, found)
    const read = (value: unknown) => readValue(reader, value, scope)
    for (const key of CONDITIONS)
      for (const text of textsOf(node, key)) {
        const select = await parsed(parser, `select where ${readable(text)}`)
        if (!select) continue
        read(select.whereClause)
        note(readCondition(select.whereClause, scope, () => []))
      }
    for (const text of textsOf(node, 'Output'))
      read(await parsed(parser, `select ${readable(text)}`))
    for (const [key, clause] of [
      ['Sort Key', 'order by'],
      ['Group Key', 'group by'],
    ] as const) {
      const texts = textsOf(node, key)
      const select =
        texts.length > 0
          ? await parsed(parser, `select ${clause} ${texts.map(readable).join(', ')}`)
          : undefined
      const block = { relations: [], order: null, isGrouped: false, limit: null }
      if (select) readOrder(select, scope, [], block, read)
    }
  }
  return references
}
