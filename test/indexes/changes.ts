import { newId } from '../../src/platform/id.ts'
import type { TestServer } from '../support/server.ts'
import { advise } from './fixtures.ts'

/** Advice that something can be made of: applied, and failed with what its build has left. */
export type PreparedIndexes = { active: string; failed: string }

/** Makes what the changes below are about. */
export const prepareIndexes = async ({
  sql,
}: Pick<TestServer, 'sql'>): Promise<PreparedIndexes> => {
  const table = newId('rec')
  await sql.unsafe(`create table ${table} (a int, b int)`)
  const [active, failed] = [
    await advise(sql, { table, definition: `on public.${table} (a)` }),
    await advise(sql, { table, definition: `on public.${table} (b)` }),
  ]
  await sql.unsafe(`create index ${failed.index} on ${table} (b)`)
  await sql`update pg_index set indisvalid = false where indexrelid = ${failed.index}::regclass`
  await sql`update recommendations set status = 'active' where id = ${active.id}`
  await sql`update recommendations set status = 'failed' where id = ${failed.id}`
  return { active: active.id, failed: failed.id }
}

/** One request that changes something, per route of indexes that can. */
export const INDEX_CHANGES: Record<
  string,
  (given: { indexes: PreparedIndexes }) => [what: string, body?: unknown]
> = {
  'POST /v1/optimizer/indexes/:id/revert': ({ indexes }) => [
    `POST /v1/optimizer/indexes/${indexes.active}/revert`,
  ],
  'DELETE /v1/optimizer/indexes/:id': ({ indexes }) => [
    `DELETE /v1/optimizer/indexes/${indexes.failed}`,
  ],
}
