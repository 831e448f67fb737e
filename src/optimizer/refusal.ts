import { Problem, unprocessable } from '../platform/problem.ts'

/** Classes of SQLSTATE that say the query itself is at fault; of these, the first alone quote values in their messages. */
const OF_VALUES = /^22/
const OF_QUERIES = /^(?:0A|21|25|42|54)/

/** What an error of the database means to whoever asked for a plan; undefined where it is no fault of the query. */
export const refusalOf = (error: unknown): Problem | undefined => {
  if (!(error instanceof Error) || error.name !== 'PostgresError') return undefined
  const { code, message } = error as Error & { code: string }
  if (code === '55P03')
    return new Problem(
      'unavailable',
      'query-locked',
      'Somebody is changing a table of this query; it was not waited for. Try again.',
    )
  if (code === '57014')
    return unprocessable(
      'query-timeout',
      '/query',
      'The query took longer than five seconds and was ended.',
    )
  // The parser here knows PostgreSQL 18; what an older one says of it quotes the query.
  if (code === '42601')
    return unprocessable(
      'query-failed',
      '/query',
      'The database is of a version that does not know this syntax.',
    )
  if (OF_VALUES.test(code))
    return unprocessable(
      'query-failed',
      '/query',
      `A value in the query does not fit (SQLSTATE ${code}).`,
    )
  if (OF_QUERIES.test(code))
    return unprocessable('query-failed', '/query', `The database says: ${message}.`)
  return undefined
}
