import { parse } from 'csv-parse/sync'
import { type CasbinRow, type RowProblem, readRow } from './casbin-row.ts'

// Casbin's own reader changes what it reads: `""` becomes `"`, blanks after commas vanish, a line that does not
// fit is dropped in silence. Here a line is read as it stands, or refused. What is accepted means the same to
// Casbin's reader, except for the condition that it does not insert.

type Field = { readonly value: string; readonly quoted: boolean }

/** The fields of one line, and which of them stand in quotes; throws what csv-parse throws. */
const splitLine = (text: string): Field[] => {
  const [fields = []] = parse(text, {
    trim: true,
    // One line is one record, even with a stray carriage return in it.
    record_delimiter: '\n',
    cast: (value, { quoting }) => ({ value, quoted: quoting }),
  }) as unknown as Field[][]
  return fields
}

const brackets = (text: string, bracket: string) => text.split(bracket).length

/** What Casbin's own reader would change or refuse. */
const problemsOfQuotes = (fields: readonly Field[]): string[] => {
  const problems: string[] = []
  for (const { value } of fields) {
    if (value.includes('"'))
      problems.push('A field holds a double quote; write texts in a condition in single quotes.')
    if (brackets(value, '(') !== brackets(value, ')'))
      problems.push(
        'A field opens and closes a different number of parentheses, counted in its texts too.',
      )
  }
  const [ptype, , , , , condition] = fields
  if (
    ptype?.value === 'p' &&
    fields.length === 7 &&
    condition?.value !== 'true' &&
    !condition?.quoted
  )
    problems.push('A condition other than true stands in double quotes.')
  return problems
}

const readLine = (line: number, text: string): CasbinRow | string[] => {
  // csv-parse would make the same character of every half.
  if (!text.isWellFormed()) return ['The line holds half of a surrogate pair.']
  try {
    const fields = splitLine(text)
    const [ptype, ...values] = fields.map(({ value }) => value)
    const read = readRow(line, ptype ?? '', values)
    const problems = [...problemsOfQuotes(fields), ...('problems' in read ? read.problems : [])]
    return problems.length === 0 && 'row' in read ? read.row : problems
  } catch (error) {
    return [`The line cannot be read: ${(error as Error).message}.`]
  }
}

/**
 * Reads a policy in Casbin's CSV: one line each, `p` with six fields (subject, domain, object, action, condition,
 * effect) or five without a condition, `g` with three (subject, role or team, domain); blank lines and lines
 * that begin with `#` are left out. Never throws: a line with a problem is not among the rows, and every problem
 * is named. A caller that loads rows in spite of problems may lose a deny.
 */
export const readCasbinCsv = (
  text: string,
): { readonly lines: readonly CasbinRow[]; readonly problems: readonly RowProblem[] } => {
  const lines: CasbinRow[] = []
  const problems: RowProblem[] = []
  text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .forEach((content, index) => {
      if (content.trim() === '' || content.trimStart().startsWith('#')) return
      const line = index + 1
      const read = readLine(line, content)
      if (Array.isArray(read)) problems.push(...read.map((detail) => ({ line, detail })))
      else lines.push(read as CasbinRow)
    })
  return { lines, problems }
}
