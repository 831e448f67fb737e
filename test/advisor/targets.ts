import type { Target, TargetColumn, TargetIndex, TargetTable } from '../../src/advisor/target.ts'

const CATEGORIES: [RegExp, string][] = [
  [/\[\]$/, 'A'],
  [/^(?:text|character)/, 'S'],
  [/^(?:integer|bigint|numeric)/, 'N'],
  [/^(?:timestamp|date)/, 'D'],
  [/^boolean/, 'B'],
  [/range$/, 'R'],
]

/** A column of that type with plausible figures. */
export const columnOf = (
  name: string,
  type = 'integer',
  more: Partial<TargetColumn> = {},
): TargetColumn => ({
  ...{ name, type, category: CATEGORIES.find(([each]) => each.test(type))?.[1] ?? 'U' },
  ...{ isSortable: !/^(?:json|point|xml)$/.test(type), isNotNull: false, averageBytes: 4 },
  ...{ distinct: 1000, nullShare: 0, correlation: 0, common: [], bounds: [] },
  ...more,
})

/** A table of 100,000 rows; columns are written as `name type`. */
export const tableOf = (
  name: string,
  columns: (string | TargetColumn)[],
  more: Partial<TargetTable> = {},
): TargetTable => ({
  ...{
    schema: 'public',
    name,
    rows: 100_000,
    pages: 1000,
    allVisiblePages: 1000,
    bytes: 8_192_000,
  },
  ...{ kind: 'table', partitionOf: null, indexes: [], foreignKeys: [] },
  columns: columns.map((each) => {
    if (typeof each !== 'string') return each
    const [column = '', ...type] = each.split(' ')
    return columnOf(column, type.join(' ') || undefined)
  }),
  writes: { inserted: 0, updated: 0, hotUpdated: 0, deleted: 0 },
  ...more,
})

/** An index of these columns that is there. */
export const indexOf = (
  table: string,
  columns: string[],
  more: Partial<TargetIndex> = {},
): TargetIndex => {
  const name = more.name ?? `${table}_${columns.join('_')}_idx`
  return {
    ...{ name, table: { schema: 'public', name: table }, method: 'btree' },
    keys: columns.map((column) => ({
      ...{ column, expression: null, descending: false, nullsFirst: false },
      ...{ operatorClass: null, collation: null },
    })),
    ...{ include: [], where: null, bytes: 1_000_000, scans: 10 },
    definition: `CREATE INDEX ${name} ON public.${table} USING btree (${columns.join(', ')})`,
    ...{ isUnique: false, isPrimary: false, isNeeded: false, isValid: true },
    ...more,
  }
}

/** A database of these tables. */
export const targetOf = (tables: TargetTable[], more: Partial<Target> = {}): Target => ({
  ...{ version: 150_000, isEmbedded: false, searchPath: ['public'], bytes: 1e9, settings: {} },
  ...{ extensions: [], countedSince: '2026-01-01T00:00:00.000Z' },
  tables,
  ...more,
})
