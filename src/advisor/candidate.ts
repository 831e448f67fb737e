/** A table, as the catalog of the database names it. */
export type TableName = { schema: string; name: string }

/** One key of an index: a column or an expression, in the one order that differs from the usual. */
export type IndexKey = ({ column: string } | { expression: string }) & {
  descending?: boolean
  /** An operator class that is not the usual one of the type, such as `gin_trgm_ops`. */
  operatorClass?: string
}

/** How an index finds rows. */
export type IndexMethod = 'btree' | 'hash' | 'gin' | 'gist' | 'brin'

/** An index that could be made. Names are those of the catalog, unquoted. */
export type Candidate = {
  table: TableName
  method: IndexMethod
  keys: readonly IndexKey[]
  /** Columns it only carries (`INCLUDE`). */
  include: readonly string[]
  /** SQL of the rows it holds; null for all. */
  where: string | null
}

/** An identifier as SQL reads it; what needs no quotes gets none. */
export const quoteIdentifier = (name: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name) ? name : `"${name.replaceAll('"', '""')}"`

/** Words that are no name without quotes (PostgreSQL, Appendix C: reserved there). */
const RESERVED = new Set(
  `all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column
  concurrently constraint create cross current_catalog current_date current_role current_schema current_time
  current_timestamp current_user default deferrable desc distinct do else end except false fetch for foreign freeze from
  full grant group having ilike in initially inner intersect into is isnull join lateral leading left like limit localtime
  localtimestamp natural not notnull null offset on only or order outer overlaps placing primary references returning
  right select session_user similar some symmetric system_user table tablesample then to trailing true union unique user
  using variadic verbose when where window with between bigint bit boolean char character coalesce dec decimal exists
  extract float greatest grouping inout int integer interval json json_array least national nchar none normalize nullif
  numeric out overlay position precision real row setof smallint substring time timestamp treat trim values varchar
  xmlattributes`.split(/\s+/),
)

/** Both parts of the name, quoted where they must be. */
export const quoteTable = ({ schema, name }: TableName): string =>
  `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`

const keyText = (key: IndexKey): string => {
  const what = 'column' in key ? quoteIdentifier(key.column) : `(${key.expression})`
  return `${what}${key.operatorClass ? ` ${key.operatorClass}` : ''}${key.descending ? ' desc' : ''}`
}

/** They are never changed, and asked for more often than anything else. */
const texts = new WeakMap<Candidate, string>()

/** What follows the index's name in the statement that makes it; two candidates are the same where this is. */
export const candidateText = (candidate: Candidate): string => {
  const before = texts.get(candidate)
  if (before !== undefined) return before
  const text = textOf(candidate)
  texts.set(candidate, text)
  return text
}

const textOf = ({ table, method, keys, include, where }: Candidate): string =>
  [
    `on ${quoteTable(table)}${method === 'btree' ? '' : ` using ${method}`} (${keys.map(keyText).join(', ')})`,
    ...(include.length > 0 ? [`include (${include.map(quoteIdentifier).join(', ')})`] : []),
    ...(where === null ? [] : [`where ${where}`]),
  ].join(' ')

/** The statement that makes it. */
export const createStatement = (
  candidate: Candidate,
  { name, concurrently = false }: { name: string; concurrently?: boolean },
): string =>
  `create index ${concurrently ? 'concurrently ' : ''}${quoteIdentifier(name)} ${candidateText(candidate)}`
