import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import * as repository from './repository.ts'
import type { ListQueries, ListSlow, OneQuery, QueryHistory } from './schema.ts'

export { readStatements } from './collect.ts'
export { createRecorder } from './recorder.ts'
export { createWorkloadWriter } from './writer.ts'

const afterOf = (cursor: string | undefined) => {
  const [, key, fingerprint] = /^([-+.\de]+) ([0-9a-f]{16})$/.exec(positionOf(cursor)) ?? []
  return key === undefined ? undefined : { key: Number(key), fingerprint: fingerprint! }
}

/** The queries of the last hours, by what they cost. */
export const listQueries = ({ sql }: Context, { cursor, limit, ...range }: ListQueries) =>
  inPlatform(sql, async (tx) => {
    const after = afterOf(cursor)
    const rows = await repository.listQueries(tx, { ...range, after, limit: limit + 1 })
    const page = toPage(rows, limit, ({ key, fingerprint }) => `${key} ${fingerprint}`)
    return { ...page, items: page.items.map(({ key: _, ...query }) => query) }
  })

/** One query, hour by hour. */
export const getQuery = ({ sql }: Context, asked: OneQuery): Promise<QueryHistory> =>
  inPlatform(sql, async (tx) => {
    const query = await repository.findQuery(tx, asked)
    if (!query) throw new Problem('not-found', 'query-not-found', 'There is no such query.')
    return { ...query, hours: [...(await repository.listHours(tx, asked))] }
  })

const NEWEST = Number.MAX_SAFE_INTEGER

/** Statements of this server that took long, the newest first. */
export const listSlow = ({ sql }: Context, { cursor, limit }: ListSlow) =>
  inPlatform(sql, async (tx) => {
    const position = positionOf(cursor)
    if (position !== '' && !/^\d{1,15}$/.test(position))
      throw new Problem('invalid', 'invalid-request', 'The cursor is not one of this list.')
    const before = position === '' ? NEWEST : Number(position)
    return toPage(
      await repository.listSlow(tx, { before, limit: limit + 1 }),
      limit,
      ({ id }) => `${id}`,
    )
  })

/** What is advised by itself: the queries that took the most time in the last hours. */
export const listRankedQueries = (
  { sql }: Pick<Context, 'sql'>,
  range: { hours: number; limit: number },
) => inPlatform(sql, (tx) => repository.listRanked(tx, range))
