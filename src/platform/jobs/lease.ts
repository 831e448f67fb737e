import type { Sql } from '../db/connect.ts'

/** Milliseconds a leader leads without saying so again. */
const TERM_MS = 15_000

/**
 * Takes or renews a lease: one holder at a time, by the clock of the database. Answers its fence, which rises with each
 * new holder, or nothing while another holds it.
 */
export const takeLease = async (
  sql: Sql,
  name: string,
  holder: string,
): Promise<number | undefined> => {
  const [row] = await sql<{ fence: number }[]>`
    insert into leases as l (name, holder, until)
    values (${name}, ${holder}, clock_timestamp() + ${TERM_MS} * interval '1 ms')
    on conflict (name) do update set holder = excluded.holder, until = excluded.until,
      fence = l.fence + (l.holder <> excluded.holder)::int
    where l.holder = excluded.holder or l.until < clock_timestamp()
    returning fence`
  return row?.fence
}

/** Lets go of a lease, so that the next need not wait for its end. */
export const dropLease = (sql: Sql, name: string, holder: string) =>
  sql`update leases set until = clock_timestamp() where name = ${name} and holder = ${holder}`
