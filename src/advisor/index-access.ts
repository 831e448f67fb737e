import { findColumn, rowsOf, shareOf } from './column.ts'
import { type HeldIndex, isUsable, isWhole } from './held-index.ts'
import { operandText, type Predicate, type Relation } from './relation.ts'
import { PAGE_BYTES } from './size.ts'
import { type Access, pagesOf, rowsLeft, type Units } from './units.ts'

const product = (shares: readonly number[]) => shares.reduce((all, each) => all * each, 1)

/** Pages that so many rows stand on, if they stand anywhere (Mackert and Lohman; all of them fit in memory). */
const scattered = (pages: number, rows: number) =>
  Math.min(Math.ceil((2 * pages * rows) / (2 * pages + rows)), pages)

/** How many keys the conditions fix, and the share of the index that is read. */
export const matched = (relation: Relation, index: HeldIndex, predicates: readonly Predicate[]) => {
  const used = new Set<Predicate>()
  for (const { text, operatorClass } of index.keys) {
    const on = predicates.filter((each) => operandText(each.on) === text)
    const isPattern = operatorClass?.endsWith('pattern_ops') ?? false
    const equal = on.find(({ kind }) => kind === 'equal' || kind === 'null' || kind === 'join')
    if (equal) {
      used.add(equal)
      continue
    }
    for (const each of on) if (each.kind === (isPattern ? 'prefix' : 'range')) used.add(each)
    break
  }
  return { used, share: product([...used].map((each) => shareOf(relation, each))) }
}

const specialOf = (index: HeldIndex, predicates: readonly Predicate[]): Predicate | undefined =>
  predicates.find(
    ({ kind, on }) =>
      operandText(on) === index.keys[0]?.text &&
      (kind === 'contains' ||
        (kind === 'anywhere' && index.keys[0].operatorClass === 'gin_trgm_ops')),
  )

const correlationOf = ({ table }: Relation, { keys }: HeldIndex): number => {
  const first = Math.abs(findColumn(table, keys[0]?.text ?? '')?.correlation ?? 0)
  return keys.length > 1 ? first * 0.75 : first
}

/** Reads a share of an index and then the pages of its rows, each as it comes or sorted first. */
export const throughIndex = (
  relation: Relation,
  index: HeldIndex,
  predicates: readonly Predicate[],
  units: Units,
): Access[] => {
  if (!isUsable(index, predicates)) return []
  const special = ['gin', 'gist'].includes(index.method) ? specialOf(index, predicates) : undefined
  const isSorted = index.method === 'btree'
  if (!special && !isSorted && index.method !== 'hash') return []
  const found = special
    ? { used: new Set([special]), share: shareOf(relation, special) }
    : matched(relation, index, predicates)
  if (found.used.size === 0 && (!isSorted || index.where !== null)) return []
  const { table } = relation
  const all = rowsOf(table)
  const read = Math.max(all * found.share, 1)
  const leaves = Math.max(Math.ceil((index.bytes / PAGE_BYTES) * found.share), 1)
  const descent = Math.ceil(Math.log2(all + 1)) * units.operator + 100 * units.operator
  const entries = read * (units.indexTuple + units.operator * found.used.size)
  const leafCost = (found.used.size > 0 ? units.randomPage : units.seqPage) * leaves
  const inIndex = leafCost + descent + entries
  const filters = predicates.length - found.used.size + relation.alternatives.length
  const cpu = read * (units.tuple + units.operator * filters)
  const rows = rowsLeft(relation, predicates)
  const pages = pagesOf(relation)
  const apart = scattered(pages, read)
  const most = apart * units.randomPage
  const least = units.randomPage + Math.max(Math.ceil(found.share * pages) - 1, 0) * units.seqPage
  const correlation = correlationOf(relation, index) ** 2
  const unseen = 1 - Math.min(table.allVisiblePages / pages, 1)
  const inTable =
    (most + correlation * (least - most)) * (isSorted && isWhole(index, relation) ? unseen : 1)
  const eachPage =
    units.randomPage - (units.randomPage - units.seqPage) * Math.sqrt(Math.min(apart / pages, 1))
  const bitmap = { rows, indexes: [index], isOrdered: false }
  return [
    ...(special
      ? []
      : [{ cost: inIndex + inTable + cpu, rows, indexes: [index], isOrdered: isSorted }]),
    ...(found.used.size > 0
      ? [{ ...bitmap, cost: inIndex + apart * eachPage + cpu + 0.1 * units.operator * read }]
      : []),
  ]
}
