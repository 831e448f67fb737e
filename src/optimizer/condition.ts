import { type SqlParser, SqlSyntaxError } from '../platform/sql-parser.ts'
import { namesIn, nodeIn, nodesOf } from './tree.ts'

/** A column that a condition compares only after it was made into something else. */
export type Wrapped =
  | { by: 'cast'; column: string; type: string }
  | { by: 'function'; column: string; name: string }

const COMPARISONS = new Set(['=', '<', '>', '<=', '>='])

const columnIn = (value: unknown): string | undefined => {
  const node = nodeIn(value)
  return node?.kind === 'ColumnRef' ? namesIn(node.fields.fields).at(-1) : undefined
}

const wrappedIn = (side: unknown): Wrapped[] => {
  const node = nodeIn(side)
  if (node?.kind === 'TypeCast') {
    const column = columnIn(node.fields.arg)
    const { names } = node.fields.typeName as { names?: unknown }
    if (column !== undefined) return [{ by: 'cast', column, type: namesIn(names).at(-1) ?? '' }]
    return wrappedIn(node.fields.arg)
  }
  if (node?.kind !== 'FuncCall') return []
  const name = namesIn(node.fields.funcname).at(-1) ?? ''
  return ((node.fields.args ?? []) as unknown[]).flatMap((each): Wrapped[] => {
    // Text is made of it first where the function takes nothing else: the function is what matters.
    const inner = nodeIn(each)
    const column = columnIn(each) ?? columnIn(inner?.kind === 'TypeCast' && inner.fields.arg)
    return column === undefined ? [] : [{ by: 'function', column, name }]
  })
}

/**
 * What the database compares in a condition of its plan, read with its own parser; nothing where a plan says what no
 * parser reads (`$0`, `SubPlan 1`).
 */
export const wrappedColumns = async (parser: SqlParser, condition: string): Promise<Wrapped[]> => {
  try {
    const { statements } = await parser.parse(`select where ${condition}`)
    return nodesOf(statements[0] ?? {})
      .filter(
        ({ kind, fields }) =>
          kind === 'A_Expr' && COMPARISONS.has(namesIn(fields.name).at(-1) ?? ''),
      )
      .flatMap(({ fields }) => [...wrappedIn(fields.lexpr), ...wrappedIn(fields.rexpr)])
  } catch (error) {
    if (error instanceof SqlSyntaxError) return []
    throw error
  }
}
