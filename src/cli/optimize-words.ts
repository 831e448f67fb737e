import type { Advice, QueryAdvice } from '../advisor/service.ts'

/** Bytes as people read them. */
export const bytesText = (bytes: number): string => {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const at = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), units.length - 1)
  const value = bytes / 1024 ** at
  return `${value >= 100 || at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`
}

/** A cost as people read it: planners' units have no name. */
export const costText = (cost: number): string =>
  cost >= 100 ? Math.round(cost).toLocaleString('en') : cost.toFixed(1)

/** How many times less, or that it is the same. */
export const timesText = (before: number, after: number): string => {
  if (after >= before * 0.995) return 'same'
  const times = before / Math.max(after, Number.MIN_VALUE)
  return times >= 1000 ? '> 999×' : `${times >= 10 ? Math.round(times) : times.toFixed(1)}×`
}

/** A query on one line, cut. */
export const oneLine = (text: string, characters = 70): string => {
  const line = text.replaceAll(/--.*$/gm, '').replaceAll(/\s+/g, ' ').trim()
  return line.length > characters ? `${line.slice(0, characters - 1)}…` : line
}

/** The statements to run, made first and dropped afterwards. */
export const statementsOf = ({ indexes, drops }: Pick<Advice, 'indexes' | 'drops'>): string[] => [
  ...indexes.map(({ text }) => `create index concurrently ${text};`),
  ...drops.map(({ statement }) => `${statement};`),
]

/** Queries that were looked at, those first that cost most. */
export const lookedAt = ({ queries }: Pick<Advice, 'queries'>): QueryAdvice[] =>
  queries
    .filter(({ passedOver }) => passedOver === null)
    .toSorted((one, other) => other.before * other.calls - one.before * one.calls)
