import type { Fragment, Queryable } from '../platform/db/connect.ts'
import type { Position } from './cursor.ts'
import type { Sorting } from './filter.ts'
import { matching, type Resolved } from './matching.ts'
import type { CatalogItem, Facet, Sort } from './schema.ts'

/** So many of the most popular matches are ranked, and counted for facets. */
export const SAMPLE = 2000
const FACET_VALUES_MAX = 50

/** An item with its sort key. */
export type Found = CatalogItem & { key: number | string }

/** Within one search: plans are made for what is asked and never compiled, which takes longer than they run; words of no use are no news. */
export const planAnew = (tx: Queryable) => tx`
  select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true),
    set_config('client_min_messages', 'warning', true)`

/** Words as the database searches for them. Of words alone that it passes over nothing is found. */
export const readWords = async (
  tx: Queryable,
  { whole, last }: { whole: string; last: string | undefined },
) => {
  const [read] = await tx<{ query: string }[]>`
    with given as (select case when ${last ?? null}::text is null then websearch_to_tsquery('pg_catalog.english', ${whole})
      else websearch_to_tsquery('pg_catalog.english', ${whole}) && (websearch_to_tsquery('pg_catalog.english', ${last ?? ''})
        || to_tsquery('pg_catalog.english', ${last ?? ''} || ':*')) end as query)
    select query::text as query from given`
  return read!.query
}

/** A category with all below it. */
export const listBelow = async (tx: Queryable, slug: string) => {
  const rows = await tx<{ slug: string }[]>`
    with recursive below as (
      select slug from categories where slug = ${slug}
      union select c.slug from categories c join below b on c.parent = b.slug)
    select slug from below`
  return rows.map((row) => row.slug)
}

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

/** By the price in one currency: what is free costs nothing, and what has no price in it is not there. */
const listByPrice = (tx: Queryable, range: Range) => {
  const { filter, isWide, limit, offset = 0, sorting } = range
  const key = tx`coalesce(r.amount_minor, 0)`
  const order = sorted(tx, sorting, key, tx`t.id`)
  return items(
    tx,
    tx`select t.id, ${key}::float8 as key, row_number() over (order by ${order}) as place
       from templates t left join prices r on r.template_id = t.id and r.currency = ${sorting.currency!} and r.retired_at is null
       where ${matching(tx, filter, isWide)} and (t.pricing = 'free' or r.amount_minor is not null)
         and ${beyond(tx, range, key, tx`t.id`)} order by ${order} limit ${limit} offset ${offset}`,
  )
}

/** By how well the words match, of the most popular matches. A name weighs more than a summary, that more than a description. */
const listRanked = (tx: Queryable, range: Range) => {
  const { filter, isWide, limit, offset = 0, sorting } = range
  const text = isWide ? tx`t.words || coalesce(d.words, '')` : tx`t.words`
  const description = isWide ? tx`left join template_descriptions d on d.template_id = t.id` : tx``
  const order = sorted(tx, sorting, tx`rank`, tx`id`)
  return items(
    tx,
    tx`select id, rank as key, row_number() over (order by ${order}) as place from (
         select t.id, ts_rank(${text}, ${filter.query!}::tsquery)::float8 * (1 + t.popularity) as rank from (
           select t.id, t.words, t.popularity from templates t where ${matching(tx, filter, isWide)}
           order by t.popularity desc, t.id limit ${SAMPLE}) t ${description}) ranked
       where ${beyond(tx, range, tx`rank`, tx`id`)} order by ${order} limit ${limit} offset ${offset}`,
  )
}

/** What facets are counted over, at most so many as a sample has, and whether there are more. */
const COUNTED: Record<Facet, (tx: Queryable) => Fragment> = {
  category: (tx) => tx`
    select 'category', a.above from matched m join above a on a.slug = m.category`,
  tag: (tx) => tx`select 'tag', tag from matched m, unnest(m.tags) tag`,
  license: (tx) => tx`select 'license', m.license from matched m`,
  pricing: (tx) => tx`select 'pricing', m.pricing from matched m`,
  integration: (tx) => tx`select 'integration', each from matched m, unnest(m.integrations) each`,
  publisher: (tx) => tx`
    select 'publisher', p.handle::text from matched m join publishers p on p.organization_id = m.organization_id`,
}

type Count = { facet: Facet; value: string; count: number; isSampled: boolean }

/** How many matches have each value of these facets. A category counts with all below it. */
export const countFacets = (
  tx: Queryable,
  { filter, isWide, facets }: { filter: Resolved; isWide: boolean; facets: readonly Facet[] },
) => {
  const values = facets.map((facet) => COUNTED[facet](tx))
  return tx<Count[]>`
    with recursive above as (
      select slug, slug as above from categories
      union select a.slug, c.parent from above a join categories c on c.slug = a.above where c.parent is not null),
    found as materialized (
      select t.category, t.tags, t.license, t.pricing, t.integrations, t.organization_id,
        row_number() over (order by t.popularity desc, t.id) as place
      from templates t where ${matching(tx, filter, isWide)} order by t.popularity desc, t.id limit ${SAMPLE + 1}),
    matched as (select * from found where place <= ${SAMPLE}),
    counted as (
      select facet, value, count(*)::int as count, row_number() over (partition by facet order by count(*) desc, value) as place
      from (${values.reduce((one, other) => tx`${one} union all ${other}`)}) v (facet, value) group by facet, value)
    select facet, value, count, (select count(*) from found) > ${SAMPLE} as is_sampled from counted
    where place <= ${FACET_VALUES_MAX} order by facet, place`
}

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
