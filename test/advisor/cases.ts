import { existsSync, readFileSync } from 'node:fs'
import type { AdviceLimits, WorkloadQuery } from '../../src/advisor/advice.ts'
import { advise } from '../../src/advisor/advise.ts'
import type { Planner } from '../../src/advisor/planner.ts'
import { readTarget } from '../../src/advisor/read-target.ts'
import type { Target } from '../../src/advisor/target.ts'
import type { Sql } from '../../src/platform/db/connect.ts'
import { createSqlParser } from '../../src/platform/node/sql-parser.ts'
import { skipped } from '../support/provided.ts'

export const parser = createSqlParser()

/** What other advisors answer, which stands beside the repository; undefined where it is not there. */
export const casesOf = <Cases>(file: string): Cases | undefined => {
  const path = new URL(`../../../shared/data/index-advisor-cases/${file}`, import.meta.url)
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Cases
  skipped(`the cases in ../shared/data/index-advisor-cases/${file} are not here.`)
  return undefined
}

/** A query of a workload; it runs so often that what it takes to fill the tables matters little. */
export const queryOf = (text: string, calls = 1_000_000): WorkloadQuery => ({
  fingerprint: text,
  text,
  parametersMax: Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number))),
  calls,
})

/** Runs statements one after the other. */
export const prepare = async (sql: Sql, statements: readonly string[]) => {
  for (const each of statements) await sql.unsafe(each, [], { simple: false } as object)
  // Else tables are vacuumed at some moment, and indexes that answer alone are better from then on.
  await sql.unsafe(`do $$ declare name text; begin
    for name in select oid::regclass from pg_class where relkind in ('r', 'm') and relnamespace not in (
      select oid from pg_namespace where nspname ~ '^pg_|^information_schema$') loop
      execute format('alter table %s set (autovacuum_enabled = off)', name);
    end loop; end $$`)
}

/** The target without the indexes that are only tried. */
export const readTried = async (sql: Sql, schemas?: string[]): Promise<Target> => {
  const target = await readTarget(sql, schemas ? { schemas } : {})
  const tables = target.tables.map((table) => ({
    ...table,
    indexes: table.indexes.filter(({ name }) => !name.startsWith('tried_')),
  }))
  return { ...target, tables }
}

/** Advises with indexes that are really built, small tables too. */
export const adviseBuilt = async (
  sql: Sql,
  planner: Planner,
  workload: WorkloadQuery[],
  limits: Partial<AdviceLimits> = {},
) => advise(parser, await readTried(sql), planner, workload, limits, { smallTables: true })
