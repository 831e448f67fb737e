import { type SqlParser, SqlSyntaxError } from '../platform/sql-parser.ts'
import { quoteIdentifier } from './candidate.ts'
import { readCondition } from './condition.ts'
import { sideOf } from './operand.ts'
import { createRelation, operandText, type Predicate } from './relation.ts'
import { createScope } from './scope.ts'
import { fieldsIn, listIn } from './sql-node.ts'
import type { Target, TargetIndex, TargetTable } from './target.ts'

const parsed = async (parser: SqlParser, text: string) => {
  try {
    const { statements } = await parser.parse(text)
    return fieldsIn(statements[0], 'SelectStmt')
  } catch (error) {
    if (error instanceof SqlSyntaxError) return undefined
    throw error
  }
}

const scopeOf = (table: TargetTable) => {
  const scope = createScope(null)
  scope.sources.push({ alias: table.name, relation: createRelation(table, table.name) })
  return scope
}

/** The condition of a predicate as candidates have it. */
export const predicateSql = ({ on, sql }: Predicate): string | null =>
  sql === null ? null : `${'column' in on ? quoteIdentifier(on.column) : operandText(on)} ${sql}`

const expressionOf = async (parser: SqlParser, table: TargetTable, text: string) => {
  const select = await parsed(parser, `select ${text}`)
  const value = fieldsIn(listIn(select?.targetList)[0], 'ResTarget')?.val
  const [place] = sideOf(value, scopeOf(table)).places
  return place?.on
}

const whereOf = async (parser: SqlParser, table: TargetTable, text: string): Promise<string> => {
  const select = await parsed(parser, `select where ${text}`)
  const { all, ors } = readCondition(select?.whereClause, scopeOf(table), () => [])
  const texts = all.map(({ predicate }) => predicateSql(predicate))
  const isWhole = ors.length === 0 && texts.length === 1 && texts[0] !== null
  return isWhole ? texts[0]! : text
}

const canonicalIndex = async (
  parser: SqlParser,
  table: TargetTable,
  index: TargetIndex,
): Promise<TargetIndex> => {
  const keys = index.keys.map(async (key) => {
    const on =
      key.expression === null ? undefined : await expressionOf(parser, table, key.expression)
    return on && 'expression' in on ? { ...key, expression: on.expression } : key
  })
  const where = index.where === null ? null : await whereOf(parser, table, index.where)
  return { ...index, keys: await Promise.all(keys), where }
}

/**
 * The target with the expressions and conditions of its indexes in the words that candidates have, so that both can be
 * compared; what cannot be read so stays as the database writes it.
 */
export const canonicalTarget = async (parser: SqlParser, target: Target): Promise<Target> => {
  const tables = target.tables.map(async (table) => ({
    ...table,
    indexes: await Promise.all(table.indexes.map((each) => canonicalIndex(parser, table, each))),
  }))
  return { ...target, tables: await Promise.all(tables) }
}
