import { type CasbinRow, readRow } from './casbin-row.ts'

/** A row of the table that `casbin-pg-adapter` writes: `casbin(id, ptype, rule jsonb)`. */
export type CasbinTableRow = {
  readonly id: number | string
  readonly ptype: string
  /** A JSON array of texts, or its JSON text. */
  readonly rule: unknown
}

/** What is wrong in a row of a table. */
export type TableProblem = {
  readonly id: number | string
  /** One sentence. */
  readonly detail: string
}

const parseRule = (rule: unknown): unknown => {
  if (typeof rule !== 'string') return rule
  try {
    return JSON.parse(rule)
  } catch {
    return undefined
  }
}

const isTexts = (rule: unknown): rule is string[] =>
  Array.isArray(rule) && rule.every((field) => typeof field === 'string')

const readTableRow = ({ id, ptype, rule }: CasbinTableRow): CasbinRow | readonly string[] => {
  const line = Number(id)
  if (!Number.isSafeInteger(line)) return ['The id is no whole number.']
  const fields = parseRule(rule)
  if (!isTexts(fields)) return ['The rule is not an array of texts.']
  const read = readRow(line, ptype, fields)
  return 'row' in read ? read.row : read.problems
}

/**
 * The rows of a `casbin-pg-adapter` table as lines of our model, in the given order. Fields are taken as they
 * are stored and never joined: the adapter joins them with commas and parses the result, so that a deny on the
 * object `doc:1, read, allow` comes back as an allow. A `p` of five fields gets the condition `true`. Rows that
 * do not fit are left out and named by their id. Never throws.
 */
export const readCasbinTable = (
  table: readonly CasbinTableRow[],
): { readonly lines: readonly CasbinRow[]; readonly problems: readonly TableProblem[] } => {
  const lines: CasbinRow[] = []
  const problems: TableProblem[] = []
  for (const row of table) {
    const read = readTableRow(row)
    if ('fields' in read) lines.push(read)
    else problems.push(...read.map((detail) => ({ id: row.id, detail })))
  }
  return { lines, problems }
}
