import { type SqlParser, SqlSyntaxError } from '../sql-parser.ts'

/** What the parser quotes of the text may be a secret. */
const QUOTED = / at or near ".*"$/s

const asSyntaxError = (error: unknown) => {
  if (error instanceof RangeError) return new SqlSyntaxError('it is nested too deeply', 0)
  const { message, sqlDetails } = error as Error & { sqlDetails?: { cursorPosition: number } }
  const said = message.replace(QUOTED, '')
  return new SqlSyntaxError(said, Math.max(sqlDetails?.cursorPosition ?? 0, 0))
}

type Placed = { stmt_location?: number; stmt_len?: number }

/** Places are bytes. Comments before a statement are its own; one without a length goes to the end. */
const textsOf = (text: string, placed: readonly Placed[]) => {
  const bytes = new TextEncoder().encode(text)
  let from = 0
  return placed.map(({ stmt_location: at = 0, stmt_len: length }) => {
    const to = length === undefined ? bytes.length : at + length
    const written = new TextDecoder().decode(bytes.subarray(from, to))
    // Behind the semicolon.
    from = to + 1
    return written
  })
}

/** PostgreSQL's parser as WebAssembly: nearly two megabytes, so it is loaded when it is first asked. */
export const createSqlParser = (): SqlParser => {
  const load = () => import('libpg-query')
  return {
    async parse(text) {
      const { parse } = await load()
      try {
        const { stmts = [] } = await parse(text)
        return { statements: stmts.map(({ stmt }) => stmt as object), texts: textsOf(text, stmts) }
      } catch (error) {
        throw asSyntaxError(error)
      }
    },
    async fingerprint(text) {
      const { fingerprint } = await load()
      return fingerprint(text)
    },
  }
}
