import { stripVTControlCharacters, styleText } from 'node:util'

const width = (text: string) => stripVTControlCharacters(text).length

/** Columns as wide as their widest cell, the head underlined. */
export const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const widths = head.map((title, column) =>
    Math.max(width(title), ...rows.map((row) => width(row[column] ?? ''))),
  )
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell + ' '.repeat(widths[column]! - width(cell)))
      .join('  ')
      .trimEnd()
  return `${[styleText('underline', line(head)), ...rows.map(line)].join('\n')}\n`
}
