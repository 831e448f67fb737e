import type { WorkloadQuery } from '../src/advisor/service.ts'
import type { SqlParser } from '../src/platform/sql-parser.ts'
import { type AdviceAmount, DAYS, FROM, rowsOf } from './advice-schema.ts'

/** A read with how often it runs, and of one with `$n` the values it is run with, as SQL. */
export type Read = { text: string; calls: number; values?: string[] }

/** Draws what queries ask for: of one seed always the same. */
export type Literals = {
  /** A tenant of about that rank; the first is the largest. */
  tenant: (rank: number) => number
  of: (table: keyof ReturnType<typeof rowsOf>) => number
  member: () => number
  whole: (below: number) => number
  /** A moment as a literal, so many days before the last one. */
  daysAgo: (days: number) => string
}

/** A small generator of numbers from 0 to 1 (mulberry32, public domain). */
const chance = (seed: number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const drawLiterals = (seed: number, amount: AdviceAmount): Literals => {
  const random = chance(seed)
  const rows = rowsOf(amount)
  const whole = (below: number) => Math.floor(random() * below)
  const zipf = (n: number) => Math.floor(Math.exp(random() * Math.log(n + 1)))
  return {
    tenant: (rank) => rank + whole(Math.ceil(rank / 2)),
    of: (table) => 1 + whole(rows[table]),
    member: () => zipf(rows.members),
    whole,
    daysAgo: (days) => {
      const ms = Date.parse(FROM) + (DAYS - days * (0.9 + 0.2 * random())) * 86_400_000
      return `'${new Date(ms).toISOString().slice(0, 19)}Z'`
    },
  }
}

const parametersOf = (text: string) =>
  Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number)))

/** Queries as the advisor is given them. */
export const workloadOf = (
  parser: SqlParser,
  queries: readonly { text: string; calls: number }[],
): Promise<WorkloadQuery[]> =>
  Promise.all(
    queries.map(async ({ text, calls }) => ({
      fingerprint: await parser.fingerprint(text),
      text,
      parametersMax: parametersOf(text),
      calls,
    })),
  )
