/**
 * A shadow of a database: its shape and the statistics of its planner in an empty database of our own, which is told that
 * it is full. It is asked what queries would cost and never runs any.
 */

/** Something to make: its statements, and simpler ones for where these fail. */
export type ShadowStep = { what: string; statements: string[]; otherwise?: string[] }

/** A table or an index with the figures that its planner goes by. */
export type ShadowRelation = {
  schema: string
  name: string
  /** Pages of 8 KiB of its file now, and when it was last counted. */
  pages: number
  countedPages: number
  /** Rows of the last count; null where it was never analyzed. */
  rows: number | null
  allVisiblePages: number
  /** Levels above the leaves of a B-tree. */
  levels: number
}

/** What `pg_restore_attribute_stats` takes of one column; arrays as PostgreSQL writes them. */
export type ShadowStatistics = { schemaname: string; relname: string; attname: string } & Record<
  string,
  string | number | boolean | null
>

/** All that a shadow is made of. */
export type ShadowShape = {
  /** Names without a schema are looked up here, first to last. */
  searchPath: string[]
  /** Whether texts are sorted by their bytes there (the locale C), so that indexes serve LIKE. */
  isBytewise: boolean
  /** Settings of the planner. */
  settings: Record<string, string>
  extensions: string[]
  /** In any order that mostly works: what fails is tried again after the others. */
  steps: ShadowStep[]
  relations: ShadowRelation[]
  statistics: ShadowStatistics[]
}

/** An index that could be, with its size; of a partitioned table with that of each partition. */
export type ShadowIndex = {
  name: string
  statement: string
  /** The table it is on; also where that has no rows of its own. */
  table: { schema: string; name: string }
  /** Each table with rows that it is on. */
  parts: {
    schema: string
    name: string
    pages: number
    rows: number | null
    levels: number
  }[]
}

/** A question: what the query costs if of the added indexes only these are there, and of the others not those. */
export type ShadowQuestion = {
  text: string
  parametersMax: number
  visible: readonly string[]
  /** As schema.name. */
  hidden: readonly string[]
}

export type Shadow = {
  /** Steps that failed, and columns whose statistics were not taken. */
  failed: { what: string; why: string }[]
  /**
   * Adds indexes; nobody sees them before they are asked for. Many at once take little longer than one. Answers of each the names
   * it has on the tables with rows, or why it cannot be.
   * @throws ShadowError where none can be added
   */
  add(indexes: readonly ShadowIndex[]): Promise<(string[] | { refused: string })[]>
  /**
   * The root of `explain (format json, verbose)`.
   * @throws ShadowError
   */
  explain(question: ShadowQuestion): Promise<Record<string, unknown>>
  close(): Promise<void>
}

export type OpenShadow = (shape: ShadowShape) => Promise<Shadow>

/** The shadow refuses, or took too long: as it says itself. */
export class ShadowError extends Error {
  override readonly name = 'ShadowError'
}

/** Extensions that a shadow can have. */
export const SHADOW_EXTENSIONS: readonly string[] = [
  ...['bloom', 'btree_gin', 'btree_gist', 'citext', 'cube', 'dict_int', 'earthdistance'],
  ...['fuzzystrmatch', 'hstore', 'intarray', 'isn', 'ltree', 'pg_trgm', 'pgcrypto', 'plpgsql'],
  ...['seg', 'tablefunc', 'tsm_system_rows', 'tsm_system_time', 'unaccent', 'uuid-ossp'],
]
