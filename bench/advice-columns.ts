import type { Candidate, IndexKey } from '../src/advisor/candidate.ts'
import type { Target, TargetTable } from '../src/advisor/target.ts'
import type { SqlParser } from '../src/platform/sql-parser.ts'

/** What a statement names, read without the advisor: the benchmark shall not share its mistakes. */
export type Named = {
  tables: TargetTable[]
  /** Columns of each table of which the name occurs anywhere in the statement. */
  referenced: Map<TargetTable, string[]>
  /** Columns of each table that conditions and joins compare. */
  compared: Map<TargetTable, string[]>
  /** The same with those that it sorts or groups by. */
  leading: Map<TargetTable, string[]>
}

type Node = Record<string, unknown>
const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null

const nodesOf = (tree: unknown, kind: string): Node[] => {
  if (Array.isArray(tree)) return tree.flatMap((each) => nodesOf(each, kind))
  if (!isNode(tree)) return []
  return Object.entries(tree).flatMap(([key, value]) => [
    ...(key === kind && isNode(value) ? [value] : []),
    ...nodesOf(value, kind),
  ])
}

const pathOf = ({ fields }: Node): string[] =>
  (fields as Node[]).flatMap(({ String: text }) => (isNode(text) ? [String(text.sval)] : []))

/** Types that the anchors know; of others a B-tree is of no use to a workload. */
const isPlain = ({ type, isSortable }: TargetTable['columns'][number]) =>
  isSortable && !/\[\]$|^json/.test(type)

export const readNamed = async (
  parser: SqlParser,
  target: Target,
  text: string,
): Promise<Named> => {
  const { statements } = await parser.parse(text)
  const aliases = new Map<string, TargetTable>()
  for (const { relname, alias } of nodesOf(statements, 'RangeVar')) {
    const table = target.tables.find(({ name }) => name === relname)
    if (table) aliases.set(String((alias as Node | undefined)?.aliasname ?? relname), table)
  }
  const tables = [...new Set(aliases.values())]
  const byTable = (references: readonly Node[], exactly: boolean) => {
    const paths = references.map(pathOf)
    return new Map(
      tables.map((table) => [
        table,
        table.columns
          .filter(isPlain)
          .map(({ name }) => name)
          .filter((name) =>
            paths.some(
              (path) =>
                path.at(-1) === name &&
                (!exactly || path.length === 1 || aliases.get(path[0]!) === table),
            ),
          ),
      ]),
    )
  }
  const within = (...kinds: string[]) =>
    kinds.flatMap((kind) => nodesOf(statements, kind)).flatMap((each) => nodesOf(each, 'ColumnRef'))
  const conditions = within('whereClause', 'quals')
  const orders = within('sortClause', 'groupClause', 'distinctClause')
  return {
    tables,
    referenced: byTable(nodesOf(statements, 'ColumnRef'), false),
    compared: byTable(conditions, true),
    leading: byTable([...conditions, ...orders], false),
  }
}

export const plainIndex = (table: TargetTable, columns: readonly string[]): Candidate => ({
  table: { schema: table.schema, name: table.name },
  method: 'btree',
  keys: columns.map((column) => ({ column })),
  include: [],
  where: null,
})

/** All orders of up to so many of these. */
export const permutations = (of: readonly string[], width: number): string[][] =>
  width === 0
    ? []
    : of.flatMap((first) => [
        [first],
        ...permutations(
          of.filter((each) => each !== first),
          width - 1,
        ).map((rest) => [first, ...rest]),
      ])

const WRITTEN =
  /^on public\.(\w+) \(((?:[^()]|\([^()]*\))*)\)(?: include \(([^)]*)\))?(?: where (.*))?$/

const keyOf = (text: string): IndexKey => {
  const [what = '', more] = text.split(' ')
  return {
    ...(what.includes('(') ? { expression: what } : { column: what }),
    ...(more === 'desc' ? { descending: true } : more ? { operatorClass: more } : {}),
  }
}

/** An index that somebody wrote down: `on public.table (keys) include (columns) where condition`. */
export const handMade = (text: string): Candidate => {
  const [, name, keys, include, where] = WRITTEN.exec(text) ?? []
  if (!name || !keys) throw new Error(`${text} is not read`)
  return {
    table: { schema: 'public', name },
    method: 'btree',
    keys: keys.split(', ').map(keyOf),
    include: include?.split(', ') ?? [],
    where: where ?? null,
  }
}
