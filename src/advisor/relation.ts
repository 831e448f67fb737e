import type { TargetTable } from './target.ts'

/** What is compared, sorted or grouped: a column, or what is made of columns of one table. */
export type Operand = { column: string } | { expression: string }

export type PredicateKind =
  | 'equal'
  | 'range'
  | 'null'
  | 'not-null'
  /** Equal to something of another table. */
  | 'join'
  /** Holds or overlaps something: `@>`, `&&`, `@@`, `?`. */
  | 'contains'
  /** LIKE with a beginning, and LIKE or ILIKE with none. */
  | 'prefix'
  | 'anywhere'

/** One thing that must be true of the rows that are wanted. */
export type Predicate = {
  on: Operand
  kind: PredicateKind
  operator: string
  /** What it is compared with, as far as the query says it: texts of constants. */
  values: string[]
  /** With how many values it is compared: of IN. */
  count: number
  /** The condition as SQL, where it is of constants only. */
  sql: string | null
  /** The other side of a join. */
  other: Column | null
}

/** A column of a table as one FROM names it. */
export type Column = { relation: Relation; column: string }

export type SortKey = { on: Operand; descending: boolean }

/** A table as one FROM names it, with all that its query asks of it. */
export type Relation = {
  table: TargetTable
  alias: string
  /** All of these must be true. */
  predicates: Predicate[]
  /** Each OR: of each of its arms what must be true of this table. An arm without any leaves the OR to the whole table. */
  alternatives: Predicate[][][]
  /** Orders in which rows are wanted, as far as they are this table's alone. */
  orders: SortKey[][]
  groups: Operand[][]
  /** The columns that the query speaks of; all of them after `*`. */
  referenced: Set<string>
}

/** One SELECT, or a statement that writes: tables that are joined, and what is then done with their rows. */
export type Block = {
  relations: Relation[]
  /** The whole order that is asked for, in words of tables; null for none. */
  order: { keys: (SortKey & { relation: Relation })[]; isWhole: boolean } | null
  isGrouped: boolean
  /** How many rows are wanted; null for all, NaN where a parameter says it. */
  limit: number | null
}

/** All that a query asks of tables. */
export type References = {
  relations: Relation[]
  blocks: Block[]
  /** Names of tables that the target does not have. */
  unknown: string[]
  /** Columns that it changes. */
  updates: { table: TargetTable; columns: string[] }[]
}

export const createRelation = (table: TargetTable, alias: string): Relation => ({
  table,
  alias,
  predicates: [],
  alternatives: [],
  orders: [],
  groups: [],
  referenced: new Set(),
})

/** The operand as a word of its own: two are the same where this is. */
export const operandText = (operand: Operand): string =>
  'column' in operand ? operand.column : `(${operand.expression})`
