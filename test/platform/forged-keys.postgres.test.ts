import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Transaction } from '../../src/platform/db/connect.ts'
import { furnish } from '../support/furnished.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { WIDER_SCOPES } from './wider-scopes.ts'

// Every foreign key of every table of an organization, with a value of another organization; every scope, with a wider
// one. The keys are read from the catalog, so that a new table is tried by itself: it needs a row in `furnish`.

let server: TestServer
let mine: { id: string }
let theirs: { id: string }

beforeAll(async () => {
  server = await startTestServer()
  mine = await furnish(server)
  theirs = await furnish(server)
  const { path } = theirs as Awaited<ReturnType<typeof furnish>>
  // Names that exist there only: a reference by name must not find its namesake here.
  for (const [what, body] of [
    ['PUT /roles/rogue', { permissions: ['scenario:read'] }],
    ['PUT /roles/lab-rogue', { permissions: ['scenario:read'], scope: 'workspace' }],
    ['PUT /members/mallory', { roles: ['rogue'] }],
    ['PUT /teams/rebels', {}],
    ['PUT /teams/rebels/members/mallory', undefined],
  ] as const) {
    const [method, at] = what.split(' ')
    const { status } = await server.call(`${method} ${path}${at}`, body)
    expect([what, status < 300]).toEqual([what, true])
  }
  // Else it is the uniqueness of what an invitation gives that refuses, and not the reference.
  await server.sql`delete from invitation_roles where organization_id = ${theirs.id}`
})
afterAll(() => server.drop())

const ROLES = ['latchkey_app', 'latchkey_platform'] as const
type Role = (typeof ROLES)[number]

type Key = {
  name: string
  table: string
  columns: string[]
  refTable: string
  refColumns: string[]
}

/** Foreign keys between tables of organizations that name more than the organization. */
const findKeys = async () => {
  const keys = await server.sql<Key[]>`
    select c.conname as name, t.relname as table, r.relname as ref_table,
      (select array_agg(a.attname::text order by k.n) from unnest(c.conkey) with ordinality k (attnum, n)
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum) as columns,
      (select array_agg(a.attname::text order by k.n) from unnest(c.confkey) with ordinality k (attnum, n)
        join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.attnum) as ref_columns
    from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_class r on r.oid = c.confrelid
    where c.contype = 'f' and c.conparentid = 0 and t.relrowsecurity and r.relrowsecurity and r.relname <> 'organizations'
    order by 2, 1`
  // A reference that is all home moves the row as a whole: what row-level security refuses.
  return keys.filter(
    ({ name, table, columns }) =>
      !ACROSS.has(name) && !columns.every((column) => column === homeOf(table)),
  )
}

/** The column that says whose a row of a table is. */
const HOME: Record<string, string> = {
  roles: 'home',
  role_permissions: 'role_home',
  role_inherits: 'role_home',
  template_versions: 'template_id',
  template_descriptions: 'template_id',
  moderation_cases: 'template_id',
  advisories: 'template_id',
  prices: 'template_id',
  template_days: 'template_id',
  installation_history: 'installation_id',
}
const homeOf = (table: string) => HOME[table] ?? 'organization_id'
/** The table whose ids stand in such a column, where it is not the organization itself. */
const THROUGH: Record<string, string> = {
  template_id: 'templates',
  installation_id: 'installations',
}

/** Whether a row is an organization's. */
const isOf = (alias: string, table: string, whose: string) => {
  const home = homeOf(table)
  const through = THROUGH[home]
  return through
    ? `${alias}.${home} in (select id from ${through} where organization_id = '${whose}')`
    : `${alias}.${home} = '${whose}'`
}

/** What is of another organization by design: whether it may be had is the download decision's to say (src/templates/download.ts). */
const ACROSS = new Set([
  ...['templates_derived_from_fkey', 'templates_successor_id_fkey'],
  ...['entitlements_template_id_fkey', 'installations_template_id_fkey'],
  ...['installations_template_id_version_id_fkey', 'installation_history_version_id_fkey'],
  ...['ratings_template_id_fkey', 'ratings_template_id_version_id_fkey'],
  'template_day_organizations_template_id_fkey',
  // Made of the row's own organization.
  'templates_outside_need_a_publisher',
])

/** What is written where the column of a foreign key is generated from another. */
const WRITTEN: Record<string, (value: string) => Record<string, string>> = {
  'grants.member': (value) => ({ subject: value }),
  'grants.team': (value) => ({ subject: `team:${value}` }),
  'grants.api_key': (value) => ({ subject: `key:${value}` }),
}

type Row = Record<string, string | null>
type Forgery = { key: string; table: string; set: Row; row: Row; at: string }

/** A row of a table with where it is stored, preferably one in which some columns have a value. */
const rowOf = async (table: string, whose: string, columns: string[] = [], but = 'false') => {
  const order = [...columns.map((column) => `(t.${column} is not null) desc`), 't::text']
  const [found] = await server.sql.unsafe<{ at: string; row: string }[]>(`
    select ctid::text as at, to_jsonb(t)::text as row from ${table} t
    where ${isOf('t', table, whose)} and not (${but}) order by ${order.join(', ')} limit 1`)
  if (!found) throw new Error(`furnish leaves no row in ${table} for this`)
  return { at: found.at, row: JSON.parse(found.row) as Row }
}

/** A row here whose foreign key names a thing that is there. */
const forge = async ({ name, table, columns, refTable, refColumns }: Key): Promise<Forgery> => {
  const named = refColumns.filter((column) => column !== homeOf(refTable))
  const equal = named.map((column) => `here.${column} = t.${column}`).join(' and ')
  const isNamesake = `exists (select 1 from ${refTable} here where ${isOf('here', refTable, mine.id)} and ${equal})`
  const { row: there } = await rowOf(refTable, theirs.id, [], isNamesake)
  const set: Row = {}
  columns.forEach((column, index) => {
    const value = there[refColumns[index]!]!
    // The organization stays ours, unless the reference has a home of its own.
    if (column !== homeOf(table))
      Object.assign(set, WRITTEN[`${table}.${column}`]?.(value) ?? { [column]: value })
  })
  return { key: `${table}.${name}`, table, set, ...(await rowOf(table, mine.id, columns)) }
}

type Column = {
  name: string
  isKey: boolean
  isGenerated: boolean
  insert: boolean
  update: boolean
}

const columnsOf = (table: string, role: Role) => server.sql<Column[]>`
  select a.attname::text as name, a.attgenerated <> '' as is_generated,
    coalesce(a.attnum = any (p.conkey), false) as is_key,
    has_column_privilege(${role}, a.attrelid, a.attnum, 'insert') as insert,
    has_column_privilege(${role}, a.attrelid, a.attnum, 'update') as update
  from pg_attribute a left join pg_constraint p on p.conrelid = a.attrelid and p.contype = 'p'
  where a.attrelid = ${table}::regclass and a.attnum > 0 and not a.attisdropped`

const literal = (value: unknown) =>
  value === null || value === undefined
    ? 'null'
    : `'${String(typeof value === 'object' ? JSON.stringify(value) : value).replaceAll("'", "''")}'`

/** The forged row written over ours, and beside it, by whatever a role may write. */
const statementsOf = async ({ table, set, row, at }: Forgery, role: Role) => {
  const columns = await columnsOf(table, role)
  const statements: string[] = []
  const forged = Object.keys(set)
  const keys = columns.filter(({ isKey }) => isKey).map(({ name }) => name)
  if (forged.every((name) => columns.find((each) => each.name === name)?.update)) {
    const values = forged.map((name) => `${name} = ${literal(set[name])}`)
    statements.push(`update ${table} set ${values.join(', ')} where ctid = '${at}'`)
  }
  const written = columns
    .filter(({ insert, isGenerated }) => insert && !isGenerated)
    .map(({ name }) => name)
  const isOneMore = keys.length === 0 || keys.some((name) => forged.includes(name))
  const fresh = isOneMore ? [] : keys.filter((name) => name !== homeOf(table))
  if (forged.every((name) => written.includes(name)) && (isOneMore || fresh.length > 0)) {
    const values = {
      ...row,
      ...Object.fromEntries(fresh.map((name) => [name, freshOf(row[name])])),
      ...set,
    }
    const used = written.filter((name) => name in values)
    statements.push(
      `insert into ${table} (${used.join(', ')}) select ${used.join(', ')}
       from jsonb_populate_record(null::${table}, ${literal(values)}::jsonb)`,
    )
  }
  return statements
}

/** Another name of the same form, so that the row is one more. */
const freshOf = (value: unknown) =>
  String(value).replace(/^(\w{3}_)?.*$/, (_, prefix?: string) =>
    prefix ? `${prefix}${'0'.repeat(25)}1` : 'fresh',
  )

/** What refuses a statement, at the latest at the end of its transaction; nothing where nothing does. */
const refusalOf = async (role: Role, statement: string): Promise<string | undefined> => {
  const undone = new Error('undone')
  let count = 0
  const work = async (tx: Transaction) => {
    await tx`select set_config('role', ${role}, true), set_config('latchkey.organization', ${mine.id}, true)`
    count = (await tx.unsafe(statement)).count
    await tx`set constraints all immediate`
    throw undone
  }
  try {
    await server.sql.begin(work)
  } catch (error) {
    if (error !== undone) {
      const { constraint_name: constraint, code, message } = error as Record<string, string>
      return constraint ?? `${code} ${message}`
    }
  }
  if (count === 0) throw new Error(`This reaches no row: ${statement}`)
  return undefined
}

/** Constraints that say what is true of a reference; a primary key that is taken says nothing of it. */
const findRules = async () => {
  const rules = await server.sql<
    { name: string }[]
  >`select conname as name from pg_constraint where contype in ('f', 'c')`
  return new Set(rules.map(({ name }) => name))
}

test('no forged key and no wider scope is taken, and a named rule refuses each', async () => {
  const rules = await findRules()
  const tried: string[] = []
  const accepted: string[] = []
  const unnamed: string[] = []
  const attempt = async (name: string, role: Role, statement: string) => {
    const refusal = await refusalOf(role, statement)
    tried.push(name)
    if (refusal === undefined) accepted.push(`${name} as ${role}`)
    // Row-level security stands before the rules where the home itself is another's.
    else if (!rules.has(refusal) && !(role === 'latchkey_app' && refusal.startsWith('42501')))
      unnamed.push(`${name} as ${role}: ${refusal}`)
  }
  const keys = await findKeys()
  // A reference that lost its foreign key is no longer in the catalog.
  expect(keys.length).toBeGreaterThanOrEqual(20)
  for (const key of keys) {
    const forgery = await forge(key)
    for (const role of ROLES)
      for (const statement of await statementsOf(forgery, role))
        await attempt(forgery.key, role, statement)
    expect(tried).toContain(forgery.key)
  }
  for (const [name, statement] of Object.entries(WIDER_SCOPES))
    for (const role of ROLES) await attempt(name, role, statement(mine.id))
  process.stdout.write(`${tried.length} forged keys tried, ${accepted.length} accepted\n`)
  expect([accepted, unnamed]).toEqual([[], []])
  expect(tried.length).toBeGreaterThanOrEqual(48)
})
