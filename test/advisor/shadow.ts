import type { Candidate, IndexKey } from '../../src/advisor/candidate.ts'
import { readTarget } from '../../src/advisor/read-target.ts'
import { readReplay } from '../../src/advisor/replay.ts'
import { openShadowPlanner } from '../../src/advisor/shadow-planner.ts'
import type { Queryable, Sql } from '../../src/platform/db/connect.ts'
import { openShadow } from '../../src/platform/db/shadow/open.ts'

/** An index on columns (`-name` is descending, `(…)` an expression) of a table, which is in `public` without a schema. */
export const index = (
  table: string,
  keys: readonly string[],
  more: Partial<Candidate> = {},
): Candidate => {
  const [schema = '', name = ''] = table.includes('.') ? table.split('.') : ['public', table]
  return {
    table: { schema, name },
    method: 'btree',
    keys: keys.map((key): IndexKey => {
      if (key.startsWith('(')) return { expression: key.slice(1, -1) }
      return key.startsWith('-') ? { column: key.slice(1), descending: true } : { column: key }
    }),
    include: [],
    where: null,
    ...more,
  }
}

/** A query as planners are asked of it. */
export const planned = (text: string) => ({
  text,
  parametersMax: Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number))),
})

/** One statement of any kind. */
export const run = (sql: Queryable, text: string) =>
  sql.unsafe<Record<string, unknown>[]>(text, [], { simple: false } as object)

/** Several statements. */
export const runAll = async (sql: Sql, text: string) => {
  for (const each of text.split(';')) if (each.trim()) await run(sql, each)
}

/** A shadow of what is in these schemas. */
export const shadowOf = async (sql: Sql, schemas: string[]) => {
  const target = await readTarget(sql, { schemas })
  const replay = await readReplay(sql, { schemas })
  return { target, planner: await openShadowPlanner(openShadow, target, replay) }
}
