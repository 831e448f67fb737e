import { indexNameOf } from '../../src/indexes/service.ts'
import type { Sql } from '../../src/platform/db/connect.ts'
import { newId } from '../../src/platform/id.ts'
import type { RunningJob } from '../../src/platform/jobs/handler.ts'
import type { TestServer } from '../support/server.ts'

/** A table with enough rows that a build takes a moment. */
export const makeParcels = (sql: Sql, { rows = 20_000, name = 'parcels' } = {}) =>
  sql.unsafe(`
    create table "${name.replaceAll('"', '""')}" (
      id int primary key, customer int not null, status text not null, note text not null);
    insert into "${name.replaceAll('"', '""')}"
    select i, i % 500, 's' || i % 5, 'note ' || i from generate_series(1, ${rows}) i`)

type Given = {
  table?: string
  /** As in `on public.parcels (customer)`. */
  definition?: string
  index?: string
  bytes?: number
  runId?: string | null
  queries?: object[]
}

/** Advice to build an index, as a run of the advisor writes it down. */
export const advise = async (
  sql: Sql,
  given: Given = {},
): Promise<{ id: string; index: string }> => {
  const { table = 'parcels', bytes = 500_000, runId = null, queries = [] } = given
  const definition = given.definition ?? 'on public.parcels (customer)'
  const index = given.index ?? (await indexNameOf(table, definition))
  const id = newId('rec')
  await sql`insert into recommendations ${sql({
    ...{
      id,
      run_id: runId,
      kind: 'create',
      schema_name: 'public',
      table_name: table,
      index_name: index,
    },
    ...{ definition, statement: `create index concurrently ${index} ${definition}` },
    ...{ undo: `drop index concurrently ${index}`, bytes, how: 'shadow', confidence: 'high' },
    ...{ reason: 'for the test', queries: sql.json(queries as never) },
  })}`
  return { id, index }
}

/** Advice to drop an index. */
export const adviseDrop = async (sql: Sql, index: string, code = 'duplicate') => {
  const id = newId('rec')
  await sql`insert into recommendations ${sql({
    ...{ id, kind: 'drop', schema_name: 'public', table_name: 'parcels', index_name: index, code },
    ...{ definition: index, statement: `drop index concurrently ${index}`, undo: '', how: 'built' },
    ...{ confidence: 'high', reason: 'for the test' },
  })}`
  return id
}

/** The row of a recommendation. */
export const entryOf = async (sql: Sql, id: string) => {
  const [entry] = await sql<
    {
      status: string
      statusReason: string | null
      attempts: number
      undo: string
      jobId: string
      bytesBuilt: number | null
      buildMs: number | null
      verdict: string | null
      version: number
    }[]
  >`select status, status_reason, attempts, undo, job_id, bytes_built, build_ms, verdict, version
    from recommendations where id = ${id}`
  return entry!
}

/** The indexes of a table that begin with `adv_`, and whether they are valid. */
export const indexesOf = async (sql: Sql, table = 'parcels') => {
  const rows = await sql<{ name: string; valid: boolean }[]>`
    select c.relname as name, i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid where t.relname = ${table} and c.relname like 'adv\\_%' order by 1`
  return [...rows]
}

/** A run of a job as a worker would start it, in the test's own hands. */
export const jobOf = (
  { context, sql }: Pick<TestServer, 'context' | 'sql'>,
  recommendation: string,
  over: Partial<RunningJob> = {},
): RunningJob<{ recommendation: string }> => ({
  id: newId('job'),
  payload: { recommendation },
  organizationId: null,
  workspaceId: null,
  attempt: 1,
  attemptsMax: 1,
  fence: 1,
  signal: new AbortController().signal,
  context: { ...context, sql },
  once: async () => true,
  progress: async () => {},
  ...(over as object),
})

/** The events of the platform's log about indexes, in order. */
export const eventsOf = async (sql: Sql, index: string) => {
  const rows = await sql<{ event: string }[]>`
    select event from audit_events where log = 'platform' and resource = ${`index:public.${index}`} order by id`
  return rows.map(({ event }) => event)
}

/** The server's context with the operator whose key the test has: jobs ask whether they may. */
export const operatorOf = ({ context, adminKey }: Pick<TestServer, 'context' | 'adminKey'>) => {
  const apiKeyId = `key_${adminKey.split('_')[1]}`
  const actor = { subject: `key:${apiKeyId}`, apiKeyId, organizationId: null, restrictedTo: null }
  return { ...context, actor }
}
