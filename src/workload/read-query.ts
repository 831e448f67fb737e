import { parametersMaxOf, type SqlParser } from '../platform/sql-parser.ts'

/** A statement as the workload knows it. */
export type KnownQuery = { fingerprint: string; query: string; parametersMax: number }

/** What is looked at; whatever else runs (`set`, `begin`, `create`) has no plan. */
const KINDS = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])
const TEXT_CHARACTERS_MAX = 10_000
const KNOWN_MAX = 5000

const readOne = async (parser: SqlParser, text: string): Promise<KnownQuery | undefined> => {
  // A statement ends in C where a NUL is.
  if (text.length > TEXT_CHARACTERS_MAX || text.includes('\u0000')) return undefined
  try {
    const { statements } = await parser.parse(text)
    const [kind = ''] = Object.keys(statements[0] ?? {})
    if (statements.length !== 1 || !KINDS.has(kind)) return undefined
    const fingerprint = await parser.fingerprint(text)
    return { fingerprint, query: text.trim(), parametersMax: parametersMaxOf(text) }
  } catch {
    return undefined
  }
}

/** Reads texts and remembers what they were: the same come again and again. Undefined is what is not looked at. */
export const createQueryReader = (parser: SqlParser) => {
  const known = new Map<string, KnownQuery | undefined>()
  return async (text: string): Promise<KnownQuery | undefined> => {
    if (known.has(text)) return known.get(text)
    const query = await readOne(parser, text)
    if (known.size >= KNOWN_MAX) known.clear()
    known.set(text, query)
    return query
  }
}
