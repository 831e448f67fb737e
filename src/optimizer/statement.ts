import { unprocessable } from '../platform/problem.ts'
import { type SqlParser, SqlSyntaxError } from '../platform/sql-parser.ts'
import { FUNCTIONS, NODES, SAMPLES, STATEMENTS, WRITES } from './allowed.ts'
import { namesIn, nodesOf, type SqlNode } from './tree.ts'

/** A query that may be explained. */
export type Statement = {
  text: string
  fingerprint: string
  /** Names of the functions it calls, all of which PostgreSQL has. */
  functions: string[]
  /** The kinds of its constants in their order: the fingerprint knows nothing of them, the planner does. */
  constants: string
  /** The highest `$n` in it. */
  parametersMax: number
  /** Why it may not be run; undefined if it may. */
  notRun: string | undefined
}

/** Levels a statement may have: the database's own stack ends somewhere. */
const DEPTH_MAX = 250

/** Line and column of a byte of the text. */
const placeOf = (text: string, atByte: number) => {
  const bytes = new TextEncoder().encode(text).slice(0, atByte)
  const lines = new TextDecoder().decode(bytes).split('\n')
  return `line ${lines.length}, column ${[...lines.at(-1)!].length + 1}`
}

const refused = (text: string, atByte: unknown, detail: string) =>
  unprocessable(
    'query-refused',
    '/query',
    `${detail} (${placeOf(text, typeof atByte === 'number' ? atByte : 0)}).`,
  )

const parseOne = async (parser: SqlParser, text: string): Promise<object> => {
  try {
    const { statements } = await parser.parse(text)
    const [statement] = statements
    if (statement && statements.length === 1) return statement
    throw unprocessable(
      'query-not-one',
      '/query',
      `The query must be one statement; it has ${statements.length}.`,
    )
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error
    const detail = `The query is not SQL: ${error.message} (${placeOf(text, error.atByte)}).`
    throw unprocessable('query-malformed', '/query', detail)
  }
}

/** The first byte that a node or anything in it names: the tree tells it of most nodes only. */
const placeIn = ({ fields }: SqlNode): unknown =>
  fields.location ?? nodesOf(fields).find((each) => each.fields.location)?.fields.location

const refusalOf = (node: SqlNode): string | undefined => {
  const { kind, fields } = node
  if (kind === 'FuncCall') return refusalOfFunction(namesIn(fields.funcname))
  if (kind === 'RangeTableSample') {
    const [name = '', ...more] = namesIn(fields.method)
    return more.length > 0 || !SAMPLES.has(name)
      ? 'This kind of sample is not explained'
      : undefined
  }
  if (kind === 'intoClause') return 'SELECT INTO makes a table'
  if (!NODES.has(kind)) return `${kind.replace(/Stmt$/, '')} is not explained`
  return undefined
}

const refusalOfFunction = (names: string[]) => {
  const name = names.at(-1) ?? ''
  const isBuiltIn = names.length === 1 || (names.length === 2 && names[0] === 'pg_catalog')
  if (isBuiltIn && FUNCTIONS.has(name)) return undefined
  return `The function ${names.join('.')} is not one of those that a query here may call`
}

const notRunBecause = (nodes: readonly SqlNode[]): string | undefined => {
  const write = nodes.find(({ kind }) => WRITES.has(kind))
  if (write) return `${write.kind.replace(/Stmt$/, '').toUpperCase()} would change rows`
  if (nodes.some(({ kind }) => kind === 'LockingClause')) return 'FOR UPDATE and its like lock rows'
  return undefined
}

const constantsOf = (nodes: readonly SqlNode[]) =>
  nodes
    .filter(({ kind }) => kind === 'A_Const')
    .map(({ fields }) => Object.keys(fields).find((key) => key !== 'location') ?? '')
    .join(',')

/** Reads a query as PostgreSQL would. @throws Problem 422 that names the place, when it is none that is explained */
export const readStatement = async (parser: SqlParser, text: string): Promise<Statement> => {
  const tree = await parseOne(parser, text)
  const nodes = nodesOf(tree)
  const top = Object.keys(tree)[0] ?? ''
  if (!STATEMENTS.has(top))
    throw refused(text, 0, `${top.replace(/Stmt$/, '')} is not explained; a query is`)
  for (const node of nodes) {
    const detail = refusalOf(node)
    if (detail) throw refused(text, placeIn(node), detail)
  }
  if (nodes.some(({ depth }) => depth > DEPTH_MAX))
    throw refused(text, 0, 'The query is nested too deeply')
  const ofKind = (kind: string) => nodes.filter((node) => node.kind === kind)
  return {
    text,
    fingerprint: await parser.fingerprint(text),
    functions: ofKind('FuncCall').map(({ fields }) => namesIn(fields.funcname).at(-1) ?? ''),
    constants: constantsOf(nodes),
    parametersMax: Math.max(
      0,
      ...ofKind('ParamRef').map(({ fields }) => Number(fields.number ?? 0)),
    ),
    notRun: notRunBecause(nodes),
  }
}
