/** A parsed text: its statements, as PostgreSQL's grammar has them. Places in it are bytes of UTF-8. */
export type ParsedSql = {
  statements: readonly object[]
  /** Of each statement what was written, with the comments before it. */
  texts: readonly string[]
}

/** PostgreSQL's own parser, where a runtime has it. */
export type SqlParser = {
  /** @throws SqlSyntaxError */
  parse(text: string): Promise<ParsedSql>
  /** The same for statements that differ in their constants, comments and blanks only. */
  fingerprint(text: string): Promise<string>
}

/** The text is not SQL, or too deep to be read. */
export class SqlSyntaxError extends Error {
  /** The byte at which it is not. */
  readonly atByte: number
  constructor(message: string, atByte: number) {
    super(message)
    this.name = 'SqlSyntaxError'
    this.atByte = atByte
  }
}

/** The highest `$n` in a query, 0 without any; one inside a text counts, too, and is a parameter too many. */
export const parametersMaxOf = (text: string): number =>
  Math.max(0, ...[...text.matchAll(/\$(\d{1,5})/g)].map(([, number]) => Number(number)))
