import type { Fragment, Queryable } from '../platform/db/connect.ts'
import type { Position } from './cursor.ts'
import type { Sorting } from './filter.ts'
import { matching, type Resolved } from './matching.ts'
import type { CatalogItem, Facet, Sort } from './schema.ts'

/** So many of the most popular matches are ranked. */
const RANKED_MAX = 2000
/** So many of the most popular matches are counted for facets (docs/decisions/0016). */
export const COUNTED_MAX = 1000

/** An item with its sort key; the first of what was ranked and sampled with the terms of all that was. */
export type Found = CatalogItem & { key: number | string; sample?: string | null }

/**
 * Within one search: plans are made for what is asked and never compiled, which takes longer than they run; words of no use are no
 * news. What is listed is small beside memory: pages cost what they cost there, and an entry of an index that is looked at a
 * seventh of a row that is fetched, as measured.
 */
export const planAnew = (tx: Queryable) => tx`
  select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true),
    set_config('client_min_messages', 'warning', true), set_config('seq_page_cost', '0.1', true),
    set_config('random_page_cost', '0.1', true), set_config('cpu_index_tuple_cost', '0.01', true),
    set_config('effective_io_concurrency', '0', true)`

/** Words as the database searches for them. Of words alone that it passes over nothing is found. */
export const readWords = async (
  tx: Queryable,
  { whole, last }: { whole: string; last: string | undefined },
) => {
  const [read] = await tx<{ query: string }[]>`
    select (case when ${last ?? null}::text is null then websearch_to_tsquery('pg_catalog.english', ${whole})
      else websearch_to_tsquery('pg_catalog.english', ${whole}) && to_tsquery('pg_catalog.english', ${last ?? ''} || ':*') end)::text as query`
  return read!.query
}

export type Code = { facet: number; value: string; code: number }

/** The numbers of terms, by what they are of (FACETS): of a category with all below it, of a publisher by its handle. */
export const listCodes = (
  tx: Queryable,
  asked: Partial<Record<'category' | 'license' | 'pricing' | 'publisher', string | undefined>> & {
    tag?: readonly string[] | undefined
  },
) => tx<Code[]>`
  with recursive below as (
    select slug from categories where slug = ${asked.category ?? null}::text
    union select c.slug from categories c join below b on c.parent = b.slug),
  asked (facet, value) as (
    select 0, slug from below union all select 1, unnest(${(asked.tag ?? []) as string[]}::text[])
    union all select 2, ${asked.license ?? null}::text union all select 3, ${asked.pricing ?? null}::text
    union all select 5, (select organization_id from publishers where handle = ${asked.publisher ?? null}::text))
  select facet, value, t.id * 8 + facet as code from asked join catalog_terms t using (facet, value)`

/** What terms are called, publishers by their handles. */
export const listTerms = (tx: Queryable, codes: readonly number[]) => tx<
  { code: number; value: string }[]
>`
  select t.id * 8 + t.facet as code, coalesce(p.handle, t.value) as value
  from catalog_terms t left join publishers p on t.facet = 5 and p.organization_id = t.value
  where t.id = any(${codes.map((code) => code >> 3)}::int[])`

/** The columns of an item of a template `t` whose publisher is `p`. */
export const ITEM = (tx: Queryable) => tx`
  t.id, t.number, t.slug, t.name, t.summary, t.kind, t.category, t.tags, t.integrations, t.license,
  (select coalesce(json_agg(json_build_object('currency', r.currency, 'amountMinor', r.amount_minor) order by r.currency), '[]')
   from prices r where r.template_id = t.id and r.retired_at is null) as prices,
  case when p.handle is not null then json_build_object('handle', p.handle, 'verified', p.verified_at is not null) end as publisher, t.is_official as official,
  json_build_object('score', round(t.rating_score::numeric, 2), 'count', t.rating_count) as rating, t.install_count as installs,
  (select v.version from template_versions v where v.template_id = t.id and v.status = 'published' and v.prerelease is null
     and v.approved_integrity is not null order by v.major desc, v.minor desc, v.patch desc limit 1) as latest,
  t.deprecated_at is not null as deprecated, t.created_at, t.updated_at, t.content_updated_at`

/** What a template is sorted by. Reals are compared as they are kept, times with all their digits. */
const KEY: Record<Exclude<Sort, 'relevance' | 'price'>, (tx: Queryable) => Fragment> = {
  popular: (tx) => tx`t.popularity`,
  trending: (tx) => tx`t.trending`,
  rating: (tx) => tx`t.rating_score`,
  newest: (tx) => tx`t.content_updated_at`,
}

export type Range = {
  filter: Resolved
  sorting: Sorting
  isWide: boolean
  after: Position | undefined
  limit: number
  /** For clients that number their pages. */
  offset?: number
  /** Whether what is ranked is wanted as a sample, too. */
  isSampled?: boolean
}

/** One page of what was found. */
export const listFound = (tx: Queryable, range: Range): Promise<Found[]> => {
  const { sort } = range.sorting
  if (sort === 'relevance') return listRanked(tx, range)
  if (sort === 'price') return listByPrice(tx, range)
  return listSorted(tx, range, KEY[sort](tx))
}

const items = (tx: Queryable, page: Fragment) => tx<Found[]>`
  with page as (${page})
  select ${ITEM(tx)}, page.key from page join templates t on t.id = page.id join publishers p on p.organization_id = t.organization_id
  order by page.place`

/** `order by` of a key and the id; backwards is the very same the other way round, so that one index serves both. */
const sorted = (tx: Queryable, { order }: Sorting, key: Fragment, id: Fragment) =>
  order === 'desc' ? tx`${key} desc, ${id}` : tx`${key}, ${id} desc`

const beyond = (
  tx: Queryable,
  { sorting: { order, sort }, after }: Range,
  key: Fragment,
  id: Fragment,
) => {
  if (!after) return tx`true`
  const at =
    sort === 'newest' ? tx`${after.key as string}::timestamptz` : tx`${after.key as number}::float8`
  return order === 'desc'
    ? tx`(${key} <= ${at} and (${key} < ${at} or ${id} > ${after.id}))`
    : tx`(${key} >= ${at} and (${key} > ${at} or ${id} < ${after.id}))`
}

const shownKey = (tx: Queryable, { sorting: { sort } }: Range, key: Fragment) =>
  sort === 'newest'
    ? tx`to_char(${key} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
    : tx`${key}::float8`

const listSorted = (tx: Queryable, range: Range, key: Fragment) => {
  const { filter, isWide, limit, offset = 0, sorting } = range
  const order = sorted(tx, sorting, key, tx`t.id`)
  return items(
    tx,
    tx`select t.id, ${shownKey(tx, range, key)} as key, row_number() over (order by ${order}) as place from templates t
       where ${matching(tx, filter, isWide)} and ${beyond(tx, range, key, tx`t.id`)} order by ${order} limit ${limit} offset ${offset}`,
  )
}

/**
 * By the price in one currency: what is free costs nothing, and what has no price in it is not there. Two lists that are in order
 * already, each no longer than the page.
 */
const listByPrice = (tx: Queryable, range: Range) => {
  const { filter, limit, offset = 0, sorting } = range
  const { priceMin = 0, priceMax } = filter
  const order = sorted(tx, sorting, tx`key`, tx`id`)
  const most = priceMax === undefined ? tx`` : tx`and r.amount_minor <= ${priceMax}::bigint`
  const found = matching(tx, { ...filter, priceMin: undefined, priceMax: undefined }, range.isWide)
  const paid = tx`
    select t.id, r.amount_minor as key from prices r join templates t on t.id = r.template_id
    where r.currency = ${sorting.currency!} and r.retired_at is null and r.amount_minor >= ${priceMin}::bigint ${most}
      and t.pricing = 'paid' and ${found} and ${beyond(tx, range, tx`r.amount_minor`, tx`r.template_id`)}
    order by ${sorted(tx, sorting, tx`r.amount_minor`, tx`r.template_id`)} limit ${limit + offset}`
  const free = tx`
    select t.id, 0::bigint as key from templates t
    where t.pricing = 'free' and ${found} and ${beyond(tx, range, tx`0::bigint`, tx`t.id`)}
    order by ${sorting.order === 'desc' ? tx`t.id` : tx`t.id desc`} limit ${limit + offset}`
  return items(
    tx,
    tx`select id, key::float8 as key, row_number() over (order by ${order}) as place
       from ((${paid}) union all (${priceMin > 0 ? tx`select null, null where false` : free})) both_lists
       order by ${order} limit ${limit} offset ${offset}`,
  )
}

/**
 * By how well the words match, of the most popular matches. A name weighs more than a summary, that more than a description.
 * These are what facets are counted over, too: the first row brings their terms.
 */
const listRanked = (tx: Queryable, range: Range) => {
  const { filter, isWide, limit, offset = 0, sorting, isSampled = false } = range
  const words = isWide ? tx`coalesce(t.long_words, t.words) as words` : tx`t.words`
  const text = isWide ? tx`t.words || coalesce(d.words, '')` : tx`t.words`
  const description = isWide ? tx`left join template_descriptions d on d.template_id = t.id` : tx``
  const order = sorted(tx, sorting, tx`rank`, tx`id`)
  return tx<Found[]>`
    with popular as materialized (
      select t.id, ${words}, t.popularity, t.terms from templates t where ${matching(tx, filter, isWide)}
      order by t.popularity desc, t.id limit ${RANKED_MAX}),
    page as (
      select id, rank as key, row_number() over (order by ${order}) as place from (
        select t.id, ts_rank(${text}, ${filter.query!}::tsquery)::float8 * (1 + t.popularity) as rank
        from popular t ${description}) ranked
      where ${beyond(tx, range, tx`rank`, tx`id`)} order by ${order} limit ${limit} offset ${offset})
    select ${ITEM(tx)}, page.key, case when page.place = 1 and ${isSampled} then (
      select ${TERMS(tx)} from (select terms from popular limit ${COUNTED_MAX + 1}) t) end as sample
    from page join templates t on t.id = page.id join publishers p on p.organization_id = t.organization_id order by page.place`
}

/** Of rows with their terms all terms as one text, counted here: grouping in the database takes several times as long. */
const TERMS = (tx: Queryable) => tx`string_agg(array_to_string(terms, ','), ';')`

/** The terms of all that was ranked; '' where nothing was. */
export const sampleOf = ([first]: readonly Found[]): string => first?.sample ?? ''

/** What is counted: so many of the most popular matches of a filter, for these facets. */
export type Sampling = { filter: Resolved; most: number; of: readonly Facet[] }

/** A category is the first of the terms: where nothing else is counted, nothing else is read. */
const termsFor = (tx: Queryable, of: readonly Facet[]) =>
  of.every((facet) => facet === 'category') ? tx`string_agg(terms[1]::text, ';')` : TERMS(tx)

/** Of each the terms of the most popular matches, and of one more where there are more: numbers with commas, templates with semicolons. */
export const readSamples = async (
  tx: Queryable,
  samplings: readonly Sampling[],
  isWide: boolean,
): Promise<string[]> => {
  if (samplings.length === 0) return []
  const samples = samplings.map(
    ({ filter, most, of }, at) => tx`
      select ${at}::int as at, (select ${termsFor(tx, of)} from (
        select t.terms from templates t where ${matching(tx, filter, isWide)}
        order by t.popularity desc, t.id limit ${most + 1}) t) as sample`,
  )
  const rows = await tx<{ sample: string | null }[]>`
    ${samples.reduce((one, other) => tx`${one} union all ${other}`)} order by at`
  return rows.map(({ sample }) => sample ?? '')
}

/** Every category with what lies above it. */
export const listParents = (tx: Queryable) => tx<{ slug: string; parent: string | null }[]>`
  select slug, parent from categories`

/** How many are found. */
export const countFound = async (tx: Queryable, filter: Resolved, isWide: boolean) => {
  const [row] = await tx<{ count: number }[]>`
    select count(*)::int as count from templates t where ${matching(tx, filter, isWide)}`
  return row!.count
}

/** The words of names and tags, the most used first, each with its stem. */
export const listWords = (tx: Queryable, limit: number) => tx<{ word: string; stem: string }[]>`
  select word, coalesce((ts_lexize('pg_catalog.english_stem', word))[1], word) as stem from template_words
  order by templates desc, word limit ${limit}`

/** The stems of words; null of those that are passed over. */
export const listStems = (tx: Queryable, words: readonly string[]) => tx<
  { word: string; stem: string | null }[]
>`
  select word, (ts_lexize('pg_catalog.english_stem', word))[1] as stem from unnest(${words as string[]}::text[]) word`
