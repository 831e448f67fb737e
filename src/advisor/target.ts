import type { IndexMethod, TableName } from './candidate.ts'

/** A column with what the planner knows of its values; the figures are null before the table was analyzed. */
export type TargetColumn = {
  name: string
  /** As `format_type` writes it. */
  type: string
  /** `pg_type.typcategory`: S text, N number, D time, B boolean, A array, U other. */
  category: string
  /** Whether its type (or that below a domain) can be sorted by a B-tree. */
  isSortable: boolean
  isNotNull: boolean
  /** Bytes of an average value. */
  averageBytes: number | null
  /** How many distinct values there are: of n_distinct, made absolute. */
  distinct: number | null
  /** Share of nulls, 0 to 1. */
  nullShare: number | null
  /** How well the rows' order on disk is that of the values, -1 to 1. */
  correlation: number | null
  /** The most common values, as text, each with its share of all rows. */
  common: { value: string; share: number }[]
  /** Of whole numbers: between each two of these are equally many of the other rows; none of other types. */
  bounds: number[]
}

/** An index that is there. */
export type TargetIndex = {
  name: string
  table: TableName
  method: IndexMethod | (string & {})
  /** Its keys in order: of a column its name, of an expression its SQL. */
  keys: {
    column: string | null
    expression: string | null
    descending: boolean
    nullsFirst: boolean
    /** The name of its operator class where it is not the type's own. */
    operatorClass: string | null
    /** The name of its collation where it is not the column's own. */
    collation: string | null
  }[]
  include: string[]
  where: string | null
  /** As `pg_get_indexdef` writes it. */
  definition: string
  isUnique: boolean
  isPrimary: boolean
  /** Whether a constraint stands on it, or it identifies rows for replication, or a partition's parent index holds it. */
  isNeeded: boolean
  isValid: boolean
  bytes: number
  /** How often it was scanned since statistics were last reset, and since when that is counted. */
  scans: number
}

export type TargetTable = TableName & {
  /** Rows by the last count; null where it was never analyzed. */
  rows: number | null
  pages: number
  /** Pages all of whose rows everybody may see. */
  allVisiblePages: number
  /** Bytes with indexes and long values. */
  bytes: number
  /** Of partitioned tables no rows are kept in the table itself. */
  kind: 'table' | 'partitioned' | 'materialized-view'
  /** The table that this one holds a part of the rows of; indexes are advised for that one. */
  partitionOf: TableName | null
  columns: TargetColumn[]
  indexes: TargetIndex[]
  foreignKeys: { name: string; columns: string[]; references: TableName }[]
  /** Rows written since statistics were last reset. */
  writes: { inserted: number; updated: number; hotUpdated: number; deleted: number }
}

/** The database that is advised: its shape and figures, never its rows. */
export type Target = {
  /** `server_version_num`. */
  version: number
  isEmbedded: boolean
  /** Where names without a schema are looked up, first to last. */
  searchPath: string[]
  /** Bytes of the whole database. */
  bytes: number
  /** Settings that the planner's costs depend on. */
  settings: Record<string, string>
  extensions: string[]
  tables: TargetTable[]
  /** When its counters were last reset, RFC 3339; null where that is not known. */
  countedSince: string | null
}

/** The table of that name. */
export const findTable = (target: Target, { schema, name }: TableName): TargetTable | undefined =>
  target.tables.find((each) => each.schema === schema && each.name === name)
