import type { Queryable } from '../platform/db/connect.ts'
import { type Resolved, withoutFacet } from './matching.ts'
import { FACETS, type Facet, type Facets } from './schema.ts'
import * as repository from './search-repository.ts'

const VALUES_MAX = 50

type Asking = { filter: Resolved; facets: readonly Facet[]; isWide: boolean }

/** Of a facet that is filtered by itself half as many are counted: each of these is read by itself. */
const OWN_COUNTED_MAX = repository.COUNTED_MAX / 2

/**
 * Each facet under the filters of the others: those that filter nothing together, the others one by one.
 * @param read the terms of what is found under all filters, where they were read already
 */
export const countFacets = async (
  tx: Queryable,
  { filter, facets, isWide }: Asking,
  read?: string,
): Promise<Facets> => {
  const isFree = (facet: Facet) => withoutFacet(filter, facet) === undefined
  const groups = [
    { of: facets.filter(isFree), filter, most: repository.COUNTED_MAX, read },
    ...facets
      .filter((facet) => !isFree(facet))
      .map((facet) => ({
        ...{ of: [facet], filter: withoutFacet(filter, facet)!, most: OWN_COUNTED_MAX },
        read: undefined,
      })),
  ].filter(({ of }) => of.length > 0)
  const unread = groups.filter((group) => group.read === undefined)
  const samples = await repository.readSamples(tx, unread, isWide)
  const counted = groups.map((group) => {
    const sample = group.read ?? samples[unread.indexOf(group)]!
    return { ...group, ...countTerms(sample, group.most) }
  })
  const values = await valuesOf(
    tx,
    counted.flatMap(({ of, counts }) =>
      of.map((facet) => ({ facet, counts: counts[FACETS.indexOf(facet)]! })),
    ),
  )
  return { ...values, sampled: counted.some(({ sampled }) => sampled) }
}

const [ZERO, NINE, SEMICOLON] = [48, 57, 59]

/**
 * How often each term comes in the rows of a sample, by the facet it is of. Read figure by figure: there are some ten thousand.
 */
const countTerms = (
  sample: string,
  most: number,
): { counts: Map<number, number>[]; sampled: boolean } => {
  const counts = FACETS.map(() => new Map<number, number>())
  let [rows, code] = [1, 0]
  for (let at = 0; at <= sample.length && sample !== ''; at++) {
    const character = sample.charCodeAt(at)
    if (character >= ZERO && character <= NINE) {
      code = code * 10 + character - ZERO
      continue
    }
    const of = counts[code & 7]!
    of.set(code, (of.get(code) ?? 0) + 1)
    code = 0
    if (character === SEMICOLON && rows++ === most) return { counts, sampled: true }
  }
  return { counts, sampled: false }
}

/** The most frequent of them, with all that come as often as the last: which of these are shown, their names decide. */
const mostFrequent = (counts: Map<number, number>) => {
  const least = [...counts.values()].sort((one, other) => other - one)[VALUES_MAX - 1] ?? 0
  return [...counts].filter(([, count]) => count >= least)
}

/** The values of facets, the most frequent first. A category counts with all below it. */
const valuesOf = async (
  tx: Queryable,
  counted: readonly { facet: Facet; counts: Map<number, number> }[],
): Promise<Partial<Record<Facet, ReturnType<typeof sorted>>>> => {
  const shown = counted.map(({ facet, counts }) => ({
    facet,
    terms: facet === 'category' ? [...counts] : mostFrequent(counts),
  }))
  const codes = shown.flatMap(({ terms }) => terms.map(([code]) => code))
  const [terms, above] = await Promise.all([
    repository.listTerms(tx, codes),
    shown.some(({ facet }) => facet === 'category') ? readAbove(tx) : new Map(),
  ])
  const names = new Map(terms.map(({ code, value }) => [code, value]))
  return Object.fromEntries(
    shown.map(({ facet, terms }) => {
      const values = terms.map(([code, count]) => [names.get(code)!, count] as const)
      return [facet, sorted(facet === 'category' ? withAbove(values, above) : values)]
    }),
  )
}

type Counted = readonly (readonly [value: string, count: number])[]

const sorted = (counted: Counted) =>
  counted
    .map(([value, count]) => ({ value, count }))
    .sort((one, other) => other.count - one.count || (one.value < other.value ? -1 : 1))
    .slice(0, VALUES_MAX)

const withAbove = (counted: Counted, above: ReadonlyMap<string, readonly string[]>): Counted => {
  const sums = new Map<string, number>()
  for (const [own, count] of counted)
    for (const value of above.get(own) ?? [own]) sums.set(value, (sums.get(value) ?? 0) + count)
  return [...sums]
}

/** Each category with itself and all above it. */
const readAbove = async (tx: Queryable): Promise<Map<string, string[]>> => {
  const rows = await repository.listParents(tx)
  const parents = new Map(rows.map(({ slug, parent }) => [slug, parent]))
  const chain = (slug: string): string[] => {
    const parent = parents.get(slug)
    return parent ? [slug, ...chain(parent)] : [slug]
  }
  return new Map(rows.map(({ slug }) => [slug, chain(slug)]))
}
