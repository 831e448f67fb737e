import type { Fragment, Queryable } from '../platform/db/connect.ts'
import type { Filter } from './filter.ts'
import type { Facet } from './schema.ts'

/** The filters that are of terms, which the database numbers. */
export const OF_TERMS = ['category', 'tag', 'license', 'pricing', 'publisher'] as const
type OfTerms = (typeof OF_TERMS)[number]

/** A filter with what the database was asked of it first. */
export type Resolved = Omit<Filter, 'q' | OfTerms> & {
  /** The words, as the database searches for them. */
  query?: string | undefined
} & {
  /** The numbers of what is asked for; of a category with all below it. */
  [Member in OfTerms]?: readonly number[]
}

/** Which filter counts for no facet but the others. */
const OWN: Record<Facet, readonly (keyof Resolved)[]> = {
  category: ['category'],
  tag: ['tag'],
  license: ['license'],
  pricing: ['pricing'],
  integration: ['integration'],
  publisher: ['publisher'],
}

/** The filter without that of a facet; undefined where the facet filters nothing. */
export const withoutFacet = (filter: Resolved, facet: Facet): Resolved | undefined => {
  const own = OWN[facet].filter((member) => filter[member] !== undefined)
  if (own.length === 0) return undefined
  return Object.fromEntries(
    Object.entries(filter).filter(([member]) => !own.includes(member as keyof Resolved)),
  )
}

type Conditions = {
  [Member in keyof Resolved]-?: (
    tx: Queryable,
    value: NonNullable<Resolved[Member]>,
    filter: Resolved,
  ) => Fragment
}

/** Each filter as a condition on a template `t`. */
const CONDITIONS: Omit<Conditions, 'query' | 'currency' | 'priceMin' | 'priceMax'> = {
  category: (tx, any) => tx`t.terms && ${any as number[]}::int[]`,
  tag: (tx, all) => tx`t.terms @> ${all as number[]}::int[]`,
  integration: (tx, all) => tx`t.integrations @> ${all}::text[]`,
  usableWith: (tx, all) => tx`t.integrations <@ ${all}::text[]`,
  license: (tx, one) => tx`t.terms @> ${one as number[]}::int[]`,
  pricing: (tx, one) => tx`t.terms @> ${one as number[]}::int[]`,
  publisher: (tx, one) => tx`t.terms @> ${one as number[]}::int[]`,
  ratingMin: (tx, score) => tx`t.rating_score >= ${score}::float8`,
  official: (tx, official) => tx`t.is_official = ${official}`,
  verified: (tx, verified) => tx`
    exists (select 1 from publishers p where p.organization_id = t.organization_id and p.verified_at is not null) = ${verified}`,
  kind: (tx, kind) => tx`t.kind = ${kind}`,
  newerThan: (tx, days) => tx`t.content_updated_at > now() - make_interval(days => ${days}::int)`,
}

/** What is free costs 0 in every currency; what has no price in this one has none. */
const costs = (tx: Queryable, { currency, priceMin = 0, priceMax }: Resolved) => {
  const most = priceMax === undefined ? tx`` : tx`and p.amount_minor <= ${priceMax}::bigint`
  const paid = tx`t.pricing = 'paid' and exists (select 1 from prices p where p.template_id = t.id
    and p.currency = ${currency!} and p.retired_at is null and p.amount_minor >= ${priceMin}::bigint ${most})`
  return priceMin > 0 ? paid : tx`(t.pricing = 'free' or ${paid})`
}

const words = (tx: Queryable, query: string, isWide: boolean) =>
  isWide
    ? tx`t.id in (
        select n.id from templates n where n.listing = 'listed' and n.words @@ ${query}::tsquery
        union select l.id from templates l where l.listing = 'listed' and l.long_words @@ ${query}::tsquery
        union select d.template_id from template_descriptions d where d.words @@ ${query}::tsquery)`
    : tx`t.words @@ ${query}::tsquery`

/**
 * All that a template `t` must be to be found. Listed always: whatever else is asked, nothing that is not for everybody is ever
 * looked at.
 * @param isWide whether its description may match instead of its name, summary and tags, or all of these where they are too long
 */
export const matching = (tx: Queryable, filter: Resolved, isWide: boolean): Fragment => {
  const conditions = [tx`t.listing = 'listed'`]
  if (filter.query !== undefined) conditions.push(words(tx, filter.query, isWide))
  if (filter.priceMin !== undefined || filter.priceMax !== undefined)
    conditions.push(costs(tx, filter))
  for (const [member, condition] of Object.entries(CONDITIONS)) {
    const value = filter[member as keyof Resolved]
    if (value !== undefined) conditions.push(condition(tx, value as never, filter))
  }
  return conditions.reduce((one, other) => tx`${one} and ${other}`)
}
