import { sha256, toHex } from '../crypto/hash.ts'
import type { Queryable, Sql } from './connect.ts'

/** One forward-only step: its file's name and text. */
export type Migration = { name: string; text: string }

/** The database and this program disagree about what was applied. */
export class MigrationError extends Error {}

const checksum = async (text: string) => toHex(await sha256(text))

/**
 * Brings the database up to date: applies, in the order of their names and in one transaction, what it does not have.
 * A transaction-long advisory lock lets one of several starting nodes do it while the others wait.
 * @returns the names that were applied now
 * @throws MigrationError when an applied migration was edited, is missing here, or comes before an applied one
 */
export const migrate = (sql: Sql, migrations: readonly Migration[]): Promise<string[]> =>
  sql.begin(async (tx) => {
    await tx`select pg_advisory_xact_lock(7265726001)`
    await tx`create table if not exists schema_migrations (
      name text primary key, checksum text not null, applied_at timestamptz not null default now())`
    const applied = await findApplied(tx)
    const pending = await comparePlan(migrations, applied)
    for (const { name, text } of pending) {
      await tx.unsafe(text)
      await tx`insert into schema_migrations ${tx({ name, checksum: await checksum(text) })}`
    }
    return pending.map(({ name }) => name)
  }) as Promise<string[]>

/** Whether every migration of this program is applied; what `/readyz` asks. */
export const isMigrated = async (sql: Queryable, migrations: readonly Migration[]) => {
  const applied = await findApplied(sql)
  return migrations.every(({ name }) => applied.some((row) => row.name === name))
}

const findApplied = (sql: Queryable) =>
  sql<
    { name: string; checksum: string }[]
  >`select name, checksum from schema_migrations order by name`

const comparePlan = async (
  migrations: readonly Migration[],
  applied: readonly { name: string; checksum: string }[],
): Promise<Migration[]> => {
  const ours = new Map(migrations.map((migration) => [migration.name, migration]))
  for (const row of applied) {
    const migration = ours.get(row.name)
    if (!migration)
      throw new MigrationError(
        `${row.name} was applied to this database by a newer Latchkey; upgrade this one`,
      )
    if ((await checksum(migration.text)) !== row.checksum)
      throw new MigrationError(`${row.name} was changed after it was applied; restore the file`)
  }
  const last = applied.at(-1)?.name ?? ''
  const pending = migrations
    .filter(({ name }) => !applied.some((row) => row.name === name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  const late = pending.find(({ name }) => name < last)
  if (late) throw new MigrationError(`${late.name} comes before ${last}, which is applied already`)
  return pending
}
