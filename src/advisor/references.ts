import { type SqlParser, SqlSyntaxError } from '../platform/sql-parser.ts'
import { readStatement } from './query.ts'
import type { References } from './relation.ts'
import type { Reader } from './tables.ts'
import type { Target } from './target.ts'

/**
 * Reads what a query asks of the target's tables, through subqueries, WITH, EXISTS, IN and UNION. Views are not looked into: what
 * the planner makes of them is in its plan (plan-references.ts).
 * @throws SqlSyntaxError also where it is not one statement
 */
export const readReferences = async (
  parser: SqlParser,
  text: string,
  target: Target,
): Promise<References> => {
  const { statements } = await parser.parse(text)
  if (statements.length !== 1) throw new SqlSyntaxError(`it has ${statements.length} statements`, 0)
  const references: References = { relations: [], blocks: [], unknown: [], updates: [] }
  const reader: Reader = { target, references, sublinks: new Map(), readStatement }
  readStatement(reader, statements[0], null)
  return references
}
