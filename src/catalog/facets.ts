import type { Queryable } from '../platform/db/connect.ts'
import { type Resolved, withoutFacet } from './matching.ts'
import { FACETS, type Facet, type Facets } from './schema.ts'
import * as repository from './search-repository.ts'

const VALUES_MAX = 50

/** Runs in a transaction of its own: several at once, where the database takes several. */
type InSearch = <Result>(work: (tx: Queryable) => Promise<Result>) => Promise<Result>
type Asking = { filter: Resolved; facets: readonly Facet[]; isWide: boolean }

/**
 * Each facet under the filters of the others: those that filter nothing together, the others one by one.
 * @param read the terms of what is found under all filters, where they were read already
 */
export const countFacets = async (
  inSearch: InSearch,
  { filter, facets, isWide }: Asking,
  read?: string,
): Promise<Facets> => {
  const isFree = (facet: Facet) => withoutFacet(filter, facet) === undefined
  const free = facets.filter(isFree)
  const groups = [
    ...(free.length > 0 ? [{ together: free, under: filter }] : []),
    ...facets
      .filter((facet) => !isFree(facet))
      .map((facet) => ({ together: [facet], under: withoutFacet(filter, facet)! })),
  ]
  const counted = await Promise.all(
    groups.map(({ together, under }) =>
      inSearch(async (tx) => {
        const isRead = under === filter && read !== undefined
        const sample = isRead ? read : await repository.readSample(tx, { filter: under, isWide })
        const { sampled, counts } = countTerms(sample)
        return { sampled, ...(await valuesOf(tx, counts, together)) }
      }),
    ),
  )
  return Object.assign({}, ...counted, { sampled: counted.some(({ sampled }) => sampled) })
}

const [ZERO, NINE, SEMICOLON] = [48, 57, 59]

/**
 * How often each term comes in the rows of a sample, by the facet it is of. Read figure by figure: there are some twenty thousand.
 */
const countTerms = (sample: string): { counts: Map<number, number>[]; sampled: boolean } => {
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
    if (character === SEMICOLON && rows++ === repository.SAMPLE) return { counts, sampled: true }
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
  counts: readonly Map<number, number>[],
  facets: readonly Facet[],
) => {
  const counted = facets.map((facet) => {
    const of = counts[FACETS.indexOf(facet)]!
    return { facet, terms: facet === 'category' ? [...of] : mostFrequent(of) }
  })
  const codes = counted.flatMap(({ terms }) => terms.map(([code]) => code))
  const names = new Map(
    (await repository.listTerms(tx, codes)).map(({ code, value }) => [code, value]),
  )
  const named = counted.map(({ facet, terms }) => {
    const values = terms.map(([code, count]) => [names.get(code)!, count] as const)
    return [facet, values] as const
  })
  const above = facets.includes('category') ? await readAbove(tx) : undefined
  return Object.fromEntries(
    named.map(([facet, terms]) => [
      facet,
      sorted(facet === 'category' ? withAbove(terms, above!) : terms),
    ]),
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
