/** One measured figure beside its target. */
export type Figure = {
  readonly name: string
  /** Median over turns, or the one value there is. */
  readonly value: number
  readonly unit: string
  readonly lowest?: number
  readonly highest?: number
  readonly target?: number
  /** Whether the target is to be reached from above or from below. */
  readonly reach?: 'at most' | 'at least'
  /** What the figure was taken over. */
  readonly note?: string
}

const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b)

/** The middle value; of an even number the mean of the two in the middle. NaN of none. */
export const median = (values: readonly number[]): number => {
  const order = sorted(values)
  const middle = order.length >> 1
  if (order.length === 0) return Number.NaN
  return order.length % 2 === 1 ? order[middle]! : (order[middle - 1]! + order[middle]!) / 2
}

/** The value that this share of the values does not exceed (nearest rank). NaN of none. */
export const percentile = (values: readonly number[], share: number): number =>
  sorted(values)[Math.max(0, Math.ceil(share * values.length) - 1)] ?? Number.NaN

/** Median, lowest and highest as a figure. */
export const spreadOf = (
  name: string,
  unit: string,
  values: readonly number[],
  more: Partial<Figure> = {},
): Figure => ({
  name,
  unit,
  value: median(values),
  lowest: Math.min(...values),
  highest: Math.max(...values),
  ...more,
})

/** A ratio of medians, and of the turns that lie side by side. */
export const ratioOf = (
  name: string,
  above: readonly number[],
  below: readonly number[],
  more: Partial<Figure>,
): Figure => {
  const pairs = above.map((value, turn) => value / below[turn]!)
  return {
    ...spreadOf(name, '×', pairs, more),
    value: median(above) / median(below),
    note: `of medians; lowest and highest of single turns${more.note ? `; ${more.note}` : ''}`,
  }
}

/** Whether a figure reaches its target; undefined without one. */
export const isReached = ({ value, target, reach = 'at most' }: Figure): boolean | undefined =>
  target === undefined ? undefined : reach === 'at most' ? value <= target : value >= target

/** Three digits that count, with thousands apart. */
export const short = (value: number | undefined): string => {
  if (value === undefined) return ''
  if (!Number.isFinite(value)) return '–'
  return Math.abs(value) >= 100
    ? Math.round(value).toLocaleString('en')
    : String(Number(value.toPrecision(3)))
}

const MARK = { true: 'yes', false: 'no', undefined: '' }

/** The cells of a table, its heading first. */
export const cellsOf = (figures: readonly Figure[]): string[][] => [
  ['figure', 'median', 'lowest', 'highest', 'unit', 'target', 'reached', 'over'],
  ...figures.map((figure) => [
    figure.name,
    short(figure.value),
    short(figure.lowest),
    short(figure.highest),
    figure.unit,
    figure.target === undefined
      ? ''
      : `${figure.reach === 'at least' ? '≥' : '≤'} ${short(figure.target)}`,
    MARK[`${isReached(figure)}`],
    figure.note ?? '',
  ]),
]

/** A Markdown table, its columns padded so that it reads well as text, too. */
export const tableOf = (cells: readonly (readonly string[])[]): string => {
  const widths = cells[0]!.map((_, at) => Math.max(3, ...cells.map((row) => row[at]!.length)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`
  const [heading, ...rows] = cells
  return [line(heading!), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join(
    '\n',
  )
}
