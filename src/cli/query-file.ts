import { parse as parseCsv } from 'csv-parse/sync'
import * as v from 'valibot'
import type { WorkloadQuery } from '../advisor/service.ts'
import { parametersMaxOf, type SqlParser, SqlSyntaxError } from '../platform/sql-parser.ts'
import { CommandError } from './failure.ts'

type Given = { query: string; calls?: number | undefined }

/** What a file says runs. */
export type Workload = {
  queries: WorkloadQuery[]
  /** Whether it says of any query how often it runs. */
  isCounted: boolean
}

const Calls = v.pipe(
  v.union([v.number(), v.string()]),
  v.transform(Number),
  v.integer(),
  v.minValue(1),
)
const Queries = v.pipe(
  v.array(v.object({ query: v.string(), calls: v.optional(Calls) })),
  v.nonEmpty(),
)

const rowsOf = (file: string, read: () => unknown): Given[] => {
  try {
    return v.parse(Queries, read())
  } catch {
    throw new CommandError(
      `${file} must list queries, each with its text (query) and how often it runs (calls)`,
    )
  }
}

const lineAt = (text: string, atByte: number) =>
  new TextDecoder().decode(new TextEncoder().encode(text).slice(0, atByte)).split('\n').length

/** Statements end with semicolons; a comment `-- calls: 1200` before one says how often it runs. */
const readSql = async (parser: SqlParser, text: string, file: string): Promise<Given[]> => {
  try {
    const { texts } = await parser.parse(text)
    return texts.map((query) => {
      const calls = Number(/--\s*calls:\s*(\d{1,15})/i.exec(query)?.[1] ?? 0)
      return { query: query.trim(), ...(calls > 0 ? { calls } : {}) }
    })
  } catch (error) {
    if (!(error instanceof SqlSyntaxError)) throw error
    throw new CommandError(
      `${file} is not SQL: ${error.message} (line ${lineAt(text, error.atByte)})`,
    )
  }
}

/**
 * The queries of a file: `.sql`, or a list with `query` and `calls` as `.json` or `.csv` (as a client writes it from
 * pg_stat_statements). The same query given twice is called as often as both.
 * @throws CommandError
 */
export const readQueries = async (
  parser: SqlParser,
  file: string,
  text: string,
): Promise<Workload> => {
  const given = file.endsWith('.json')
    ? rowsOf(file, () => JSON.parse(text))
    : file.endsWith('.csv')
      ? rowsOf(file, () => parseCsv(text, { columns: true, bom: true, skip_empty_lines: true }))
      : await readSql(parser, text, file)
  if (given.length === 0) throw new CommandError(`there is no query in ${file}`)
  const known = new Map<string, WorkloadQuery>()
  for (const [at, { query, calls = 1 }] of given.entries()) {
    const fingerprint = await parser.fingerprint(query).catch(() => `query-${at + 1}`)
    const before = known.get(fingerprint)?.calls ?? 0
    const parametersMax = parametersMaxOf(query)
    known.set(fingerprint, { fingerprint, text: query, parametersMax, calls: before + calls })
  }
  const isCounted = given.some(({ calls }) => calls !== undefined)
  return { queries: [...known.values()], isCounted }
}
