import type { Sql } from '../../src/platform/db/connect.ts'

/** What every call leaves: its event in the log of the platform. */
const LOGGED = new Set(['audit_events', 'platform'])

/** All rows of all tables in one text each, and everything else in which a query could leave something. */
export const contentsOf = async (sql: Sql) => {
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema') order by 1`
  const contents: Record<string, unknown> = {}
  for (const { name } of tables.filter((table) => !LOGGED.has(table.name.split('.')[1] ?? ''))) {
    const [row] = await sql.unsafe(
      `select count(*) as rows, coalesce(sum(hashtextextended(t::text, 0)), 0)::text as hash from ${name} t`,
    )
    contents[name] = row
  }
  const [rest] = await sql`
    select (select json_agg(concat_ws(' ', oid, relname, relkind) order by oid) from pg_class where relkind <> 't') as relations,
      (select count(*) from pg_proc) as functions, (select count(*) from pg_largeobject_metadata) as objects,
      (select json_agg(s order by s.sequencename) from pg_sequences s) as sequences,
      (select count(*) from pg_db_role_setting where setdatabase = here.oid) as settings,
      (select count(*) from pg_locks where locktype = 'advisory' and database = here.oid) as locks,
      current_user as who, current_setting('role') as role, current_setting('statement_timeout') as timeout,
      current_setting('plan_cache_mode') as mode,
      (select count(*) from pg_prepared_statements where name like 'plan%') as prepared
    from pg_database here where datname = current_database()`
  return { contents, rest }
}
