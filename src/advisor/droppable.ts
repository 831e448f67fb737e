import type { TargetIndex, TargetTable } from './target.ts'

const keyText = (key: TargetIndex['keys'][number]) => JSON.stringify(key)

const isSameKeys = (one: TargetIndex, other: TargetIndex) =>
  one.keys.length === other.keys.length && isPrefix(one, other)

/** Whether the keys of the first are the first keys of the second. */
export const isPrefix = (narrow: TargetIndex, wide: TargetIndex) =>
  narrow.method === wide.method &&
  narrow.where === wide.where &&
  narrow.keys.every((key, at) => wide.keys[at] && keyText(key) === keyText(wide.keys[at]))

/** Whether nothing tells two indexes apart but their names. */
export const isSame = (one: TargetIndex, other: TargetIndex) =>
  isSameKeys(one, other) && one.include.join() === other.include.join()

/** What nothing but speed depends on. */
export const isFree = ({ isUnique, isPrimary, isNeeded }: TargetIndex) =>
  !isUnique && !isPrimary && !isNeeded

/** Whether deletes in another table, and joins with it, look for rows by it. */
export const supportsForeignKey = ({ foreignKeys }: TargetTable, { keys, where }: TargetIndex) =>
  where === null &&
  foreignKeys.some(({ columns }) =>
    columns.every((column) => keys.slice(0, columns.length).some((key) => key.column === column)),
  )
