import type { Transaction } from './connect.ts'

/** The tables that grow by thousands of rows at a time. */
export type BulkTable =
  | 'grants'
  | 'members'
  | 'resources'
  | 'role_inherits'
  | 'role_permissions'
  | 'roles'
  | 'team_members'
  | 'teams'
  | 'workspaces'

/** As autovacuum has it: so many rows, and a tenth of the table. */
const ROWS_MIN = 50
const SHARE_MIN = 0.1

/** How many rows the planner takes each table to have; a negative number where it does not know. */
export const findPlannedRows = async (tx: Transaction): Promise<ReadonlyMap<string, number>> => {
  const rows = await tx<{ table: string; rows: number }[]>`
    select relname as table, reltuples::float8 as rows from pg_class where relnamespace = 'public'::regnamespace`
  return new Map(rows.map(({ table, rows }) => [table, rows]))
}

/**
 * Tells the planner what a bulk change made of a table, before anybody asks about it. Without that, plans made for the
 * few rows there were are kept until autovacuum comes by: a foreign key is then checked by reading the whole table, and
 * an organization of 100,000 grants takes minutes to load. Embedded storage has no autovacuum at all.
 *
 * Only a table's owner may do this, and that is who connects; after it the request's role is taken again
 * (docs/decisions/0006-an-import-tells-the-planner.md).
 */
export const analyzeGrown = async (
  tx: Transaction,
  { table, written, planned }: { table: BulkTable; written: number; planned: number },
): Promise<void> => {
  if (written < ROWS_MIN || written < planned * SHARE_MIN) return
  await tx`select set_config('role', 'none', true)`
  await tx`analyze ${tx(table)}`
  await tx`select set_config('role', 'latchkey_app', true)`
}
