import type { RefusedIndex } from './advice.ts'
import { type Candidate, candidateText, type IndexKey, type IndexMethod } from './candidate.ts'
import { findColumn } from './column.ts'
import type { Predicate, Relation } from './relation.ts'
import type { Target, TargetTable } from './target.ts'

const PATTERN_CLASSES: [RegExp, string][] = [
  [/^text$/, 'text_pattern_ops'],
  [/^character varying/, 'varchar_pattern_ops'],
  [/^character\b/, 'bpchar_pattern_ops'],
]

const of = ({ schema, name }: TargetTable, method: IndexMethod, key: IndexKey): Candidate => ({
  table: { schema, name },
  method,
  keys: [key],
  include: [],
  where: null,
})

const keyOf = ({ on }: Predicate, operatorClass?: string): IndexKey => ({
  ...on,
  ...(operatorClass ? { operatorClass } : {}),
})

/** LIKE 'x%': but in the collation C only this operator class has values in the order of their characters. */
const forPrefix = (table: TargetTable, predicate: Predicate): Candidate[] => {
  const column = 'column' in predicate.on ? findColumn(table, predicate.on.column) : undefined
  const found = PATTERN_CLASSES.find(([type]) => type.test(column?.type ?? 'text'))
  return found ? [of(table, 'btree', keyOf(predicate, found[1]))] : []
}

/** @>, &&, @@ and ?: what kind of index finds them depends on the type. */
const forContained = (table: TargetTable, predicate: Predicate): Candidate[] => {
  const { on, operator } = predicate
  if (!('column' in on))
    return on.expression.startsWith('to_tsvector(') ? [of(table, 'gin', keyOf(predicate))] : []
  const { type = '', category } = findColumn(table, on.column) ?? {}
  if (type === 'jsonb')
    return [
      of(table, 'gin', keyOf(predicate)),
      ...(['@>', '@?', '@@'].includes(operator)
        ? [of(table, 'gin', keyOf(predicate, 'jsonb_path_ops'))]
        : []),
    ]
  if (type === 'tsvector' || category === 'A') return [of(table, 'gin', keyOf(predicate))]
  return /range$/.test(type) ? [of(table, 'gist', keyOf(predicate))] : []
}

const isText = (table: TargetTable, { on }: Predicate) =>
  'column' in on
    ? findColumn(table, on.column)?.category === 'S'
    : /^(lower|upper)\(/.test(on.expression)

/** Indexes for conditions that no order of values finds. */
export const specialCandidates = (
  { table, predicates, alternatives }: Relation,
  { extensions }: Target,
): { candidates: Candidate[]; refused: RefusedIndex[] } => {
  const candidates: Candidate[] = []
  const refused: RefusedIndex[] = []
  for (const predicate of [...predicates, ...alternatives.flat(2)]) {
    if (predicate.kind === 'prefix') candidates.push(...forPrefix(table, predicate))
    if (predicate.kind === 'contains') candidates.push(...forContained(table, predicate))
    if (predicate.kind !== 'anywhere' || !isText(table, predicate)) continue
    const candidate = of(table, 'gin', keyOf(predicate, 'gin_trgm_ops'))
    if (extensions.includes('pg_trgm')) candidates.push(candidate)
    else
      refused.push({
        text: candidateText(candidate),
        code: 'only-by-hand',
        reason:
          'A pattern that may begin with anything is found by trigrams only, and the extension pg_trgm is not installed.',
      })
  }
  return { candidates, refused }
}
