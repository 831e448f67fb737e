import { once } from 'node:events'
import { assemble, type OpenDatabase, openDatabase } from '../src/node.ts'
import { readConfig } from '../src/platform/config.ts'
import type { Sql } from '../src/platform/db/connect.ts'
import { silentLog } from '../src/platform/log.ts'
import { ACTIONS, ROLES, TYPES, templateLines } from './mix.ts'
import { COLUMNS, noRows, type Rows } from './rows.ts'

/** Rows that are held back before they are copied. */
const BATCH = 50_000

/** Migrates a database as a start of the server does, with the administrator's key. */
export const openMigrated = async (settings: Record<string, string>): Promise<OpenDatabase> => {
  const config = readConfig({
    LOG_LEVEL: 'silent',
    LATCHKEY_DEMO: 'off',
    DEFAULT_PLAN: 'custom',
    ...settings,
  })
  const database = await openDatabase(config, silentLog)
  await assemble(config, database, silentLog)
  return database
}

/** Registers the permissions of the mix and the names of its built-in roles. */
export const installCatalog = async (sql: Sql): Promise<void> => {
  await sql`insert into resource_types (type) select * from unnest(${TYPES}::text[]) on conflict do nothing`
  const keys = TYPES.flatMap((type) => ACTIONS.map((action) => `${type}:${action}`))
  await sql`insert into permissions (key, scope)
    select key, 'workspace' from unnest(${keys}::text[]) as k (key) on conflict do nothing`
  await sql`insert into roles (scope, name)
    select scope::scope, name from unnest(array['organization', 'workspace']) as s (scope),
      unnest(${ROLES}::text[]) as n (name) on conflict do nothing`
}

/**
 * Gives the built-in roles of the mix their lines. Asked after every start of a server: a start takes away what no
 * pack says.
 */
export const installRoles = async (sql: Sql): Promise<void> => {
  for (const line of templateLines()) {
    const [, scope, name] = /^role:(\w+)\.(\w+)$/.exec(line.subject)!
    if (scope === 'platform') continue
    if (line.kind === 'role') {
      const [, parentScope, parent] = /^role:(\w+)\.(\w+)$/.exec(line.holds)!
      await sql`insert into role_inherits values
        ('platform', ${scope!}, ${name!}, 'platform', ${parentScope!}, ${parent!}) on conflict do nothing`
    } else if (line.object.kind === 'type') {
      await sql`insert into role_permissions values ('platform', ${scope!}, ${name!},
        ${`${line.object.type}:${line.action}`}, 'workspace') on conflict do nothing`
    }
  }
}

const literal = (cell: string) => (cell === '\\N' ? 'null' : `'${cell.replaceAll("'", "''")}'`)

/** A statement that inserts rows written for COPY: the embedded storage takes no COPY over its socket. */
const insertion = (table: string, columns: string, rows: readonly string[]) =>
  `insert into ${table} (${columns}) values ${rows
    .map((row) => `(${row.trimEnd().split('\t').map(literal).join(',')})`)
    .join(',')}`

/**
 * Takes rows in any number and brings them in, past triggers and foreign keys, which the mix keeps by its making.
 */
export const createLoader = async (sql: Sql, mayCopy: boolean) => {
  const connection = await sql.reserve()
  await connection`set session_replication_role = replica`
  let rows = noRows()

  const copy = async ([table, columns]: readonly [string, string]) => {
    const stream = await connection.unsafe(`copy ${table} (${columns}) from stdin`).writable()
    const done = once(stream, 'finish')
    for (let at = 0; at < rows[table]!.length; at += 1000)
      if (!stream.write(rows[table]!.slice(at, at + 1000).join(''))) await once(stream, 'drain')
    stream.end()
    await done
  }
  const insert = async ([table, columns]: readonly [string, string]) => {
    for (let at = 0; at < rows[table]!.length; at += 1000)
      await connection.unsafe(insertion(table, columns, rows[table]!.slice(at, at + 1000)))
  }
  const flush = async () => {
    for (const entry of Object.entries(COLUMNS))
      if (rows[entry[0]]!.length > 0) await (mayCopy ? copy(entry) : insert(entry))
    rows = noRows()
  }
  return {
    add: async (fill: (rows: Rows) => void) => {
      fill(rows)
      if (rows.grants!.length > BATCH) await flush()
    },
    finish: async () => {
      await flush()
      await connection`set session_replication_role = origin`
      await connection`analyze`
      connection.release()
    },
  }
}
