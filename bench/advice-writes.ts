import { runOne } from '../src/advisor/session-repository.ts'
import type { Sql } from '../src/platform/db/connect.ts'
import { type AdviceAmount, rowsOf } from './advice-schema.ts'
import { step } from './progress.ts'

/** Rows that are written while the reads of a workload run: in hundredths of the executions. */
const WRITES: Record<string, { inserted: number; set?: string; updated?: number }> = {
  executions: { inserted: 0.5, updated: 1, set: `status = status, finished_at = started_at` },
  steps: { inserted: 1.5 },
  audit: { inserted: 1 },
  deliveries: { inserted: 0.4, updated: 0.4, set: `attempts = attempts + 1` },
  grants: { inserted: 0.1 },
  members: { inserted: 0.05, updated: 0.25, set: `last_seen_at = now()` },
  api_keys: { inserted: 0.05, updated: 0.5, set: `last_used_at = now()` },
}

/** Columns that these writes change, by table. */
export const UPDATED: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['public.executions', new Set(['status', 'finished_at'])],
  ['public.deliveries', new Set(['attempts'])],
  ['public.members', new Set(['last_seen_at'])],
  ['public.api_keys', new Set(['last_used_at'])],
])

/** The same writes as a workload has them. */
export const WRITE_QUERIES = [
  { text: 'update executions set status = $2, finished_at = $3 where id = $1', share: 1 },
  { text: 'update deliveries set attempts = attempts + 1 where id = $1', share: 0.4 },
  { text: 'update members set last_seen_at = now() where id = $1', share: 0.25 },
  { text: 'update api_keys set last_used_at = now() where id = $1', share: 0.5 },
]

/** How often something of that share was written. */
export const written = ({ executions }: AdviceAmount, share: number) =>
  Math.round((executions * share) / 100)

/** Counts from nothing, writes, and takes statistics: what stands in the counters afterwards is known. */
export const writeAndAnalyze = async (sql: Sql, amount: AdviceAmount): Promise<void> => {
  const writing = step('writes, vacuum and analyze')
  // What was loaded is counted first, so that it is forgotten.
  await runOne(sql, 'select pg_stat_force_next_flush()')
  await runOne(sql, 'select pg_stat_reset()')
  const rows: Record<string, number> = rowsOf(amount)
  for (const [table, { inserted, updated, set }] of Object.entries(WRITES)) {
    const columns = await sql<{ name: string }[]>`
      select quote_ident(attname) as name from pg_attribute
      where attrelid = ${table}::text::regclass and attnum > 1 order by attnum`
    const others = columns.map(({ name }) => name).join(', ')
    await runOne(
      sql,
      `insert into ${table} (id, ${others}) select ${written(amount, inserted)} + id, ${others} from ${table} where id > ${rows[table]! - written(amount, inserted)} order by id`,
    )
    if (set)
      await runOne(
        sql,
        `update ${table} set ${set} where id <= ${Math.min(written(amount, updated!), rows[table]!)}`,
      )
  }
  await runOne(sql, 'select pg_stat_force_next_flush()')
  await requireCounted(sql, amount)
  await runOne(sql, 'vacuum analyze')
  await runOne(sql, 'checkpoint')
  writing.done()
}

/** Costs of writes are those of the counters: they must be what was written. */
const requireCounted = async (sql: Sql, amount: AdviceAmount) => {
  const counted = await sql<{ name: string; inserted: number; updated: number }[]>`
    select relname::text as name, n_tup_ins as inserted, n_tup_upd as updated from pg_stat_user_tables`
  for (const { name, inserted, updated } of counted) {
    const wanted = WRITES[name]
    const [insertedWanted, updatedWanted] = [
      written(amount, wanted?.inserted ?? 0),
      written(amount, wanted?.updated ?? 0),
    ]
    if (inserted !== insertedWanted || updated !== updatedWanted)
      throw new Error(
        `${name}: ${inserted} inserts and ${updated} updates are counted, not ${insertedWanted} and ${updatedWanted}`,
      )
  }
}
