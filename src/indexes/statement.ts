import { Refused } from './failure.ts'
import type { RegisterEntry } from './schema.ts'

/** An identifier as SQL reads it, whatever is in it. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`

const NAME = '(?:"(?:[^"]|"")+"|[A-Za-z_\\u0080-\\uffff][\\w$\\u0080-\\uffff]*)'
const DEFINITION = new RegExp(`^on (${NAME})\\.(${NAME}) ([\\s\\S]+)$`)

const unquoted = (name: string) =>
  name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase()

/** A definition of an index taken apart: of which table, and what is behind that. Undefined for what is none. */
export const readDefinition = (
  definition: string,
): { schema: string; table: string; rest: string } | undefined => {
  const [, schema, table, rest] = DEFINITION.exec(definition) ?? []
  if (schema === undefined || table === undefined || rest === undefined) return undefined
  return { schema: unquoted(schema), table: unquoted(table), rest }
}

type Manner = { concurrently: boolean }

/**
 * The statement that makes the index that shall be there: of advice by its definition, of a drop that is undone as
 * `pg_get_indexdef` wrote it down. Never `if not exists`: that is content with an invalid one.
 * @throws Refused where that is not what was kept
 */
export const statementOf = (
  { kind, index, definition, undo }: Pick<RegisterEntry, 'kind' | 'index' | 'definition' | 'undo'>,
  { concurrently }: Manner,
): string => {
  const manner = concurrently ? 'concurrently ' : ''
  if (kind === 'create') return `create index ${manner}${quoted(index)} ${definition}`
  const [, unique = '', rest] = /^CREATE (UNIQUE )?INDEX ([\s\S]+)$/.exec(undo) ?? []
  if (rest === undefined)
    throw new Refused('what would make the index again was not kept as the catalog writes it')
  return `create ${unique.toLowerCase()}index ${manner}${rest}`
}

export const dropStatement = (
  { schema, index }: { schema: string; index: string },
  { concurrently }: Manner,
): string =>
  `drop index ${concurrently ? 'concurrently ' : ''}if exists ${quoted(schema)}.${quoted(index)}`
