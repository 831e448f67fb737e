import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { hashOf, readCursor, writeCursor } from './cursor.ts'
import { countFacets } from './facets.ts'
import { type Filter, readSearch, type Sorting } from './filter.ts'
import { kept } from './kept.ts'
import { OF_TERMS, type Resolved } from './matching.ts'
import {
  type CatalogItem,
  type CatalogPage,
  FACETS,
  type Facet,
  type Facets,
  type SearchCatalog,
  type Sort,
} from './schema.ts'
import * as repository from './search-repository.ts'
import { readKnownWords, splitLast, suggest, unknownIn } from './words.ts'

/**
 * Searches what is listed. All of it is the same for everybody who may search at all, so it is read as the platform, looks at
 * nothing that is not listed, and first pages are kept.
 * @throws Problem 400 for a cursor of another search, 422 for prices without a currency
 */
export const searchCatalog = async (
  context: Context,
  input: SearchCatalog,
): Promise<CatalogPage> => {
  const { filter, sorting } = readSearch(input)
  const hash = await hashOf(filter, sorting)
  const after = readCursor(input.cursor, hash, sorting)
  const { limit, facets = [] } = input
  const wanted = { filter, sorting, after, limit }
  const isSuggesting = !after && filter.q
  const [{ isWide, found, isMore, counted }, didYouMean] = await Promise.all([
    after
      ? findNext(context, wanted, facets, after.isWide)
      : kept(context, ['page', filter, sorting, limit, facets], () =>
          findFirst(context, wanted, facets),
        ),
    isSuggesting ? suggestionFor(context, filter.q!) : undefined,
  ])
  const last = found.at(-1)
  const nextCursor =
    isMore && last ? writeCursor(hash, { key: last.key, id: last.id, isWide }) : null
  const items = found.map(({ key: _, sample: __, ...item }): CatalogItem => item)
  return {
    items,
    nextCursor,
    ...(counted ? { facets: counted } : {}),
    ...(didYouMean === undefined ? {} : { didYouMean }),
  }
}

const inSearch = <Result>({ sql }: Context, work: (tx: Queryable) => Promise<Result>) =>
  inPlatform(sql, async (tx) => {
    const [, result] = await Promise.all([repository.planAnew(tx).execute(), work(tx)])
    return result
  })

type Wanted = {
  filter: Filter
  sorting: Sorting
  after: Parameters<typeof writeCursor>[1] | undefined
  limit: number
}
type Page = {
  isWide: boolean
  found: repository.Found[]
  isMore: boolean
  /** The terms of what was ranked, to be counted. */
  sample: string
  resolved: Resolved
}
type Answer = Omit<Page, 'sample' | 'resolved'> & { counted?: Facets | undefined }

/**
 * By relevance what is ranked is what is counted, so it is read once; else facets are counted beside the page: rarely it turns out
 * that descriptions are looked into, and then there is little to count.
 */
const findFirst = async (
  context: Context,
  wanted: Wanted,
  facets: readonly Facet[],
): Promise<Answer> => {
  const { filter, sorting } = wanted
  const isCounted = facets.length > 0
  if (sorting.sort === 'relevance')
    return inSearch(context, async (tx) => {
      const resolving = resolvedOnce(filter)
      const { sample, resolved, ...page } = await findPage(tx, wanted, resolving, isCounted)
      const asking = { filter: resolved, facets, isWide: page.isWide }
      return { ...page, counted: isCounted ? await countFacets(tx, asking, sample) : undefined }
    })
  const resolving = resolvedOnce(filter)
  const count = (isWide: boolean) =>
    isCounted
      ? inSearch(context, async (tx) =>
          countFacets(tx, { filter: await resolving(tx), facets, isWide }),
        )
      : undefined
  const [{ sample: _, resolved: __, ...page }, beside] = await Promise.all([
    inSearch(context, (tx) => findPage(tx, wanted, resolving)),
    count(false),
  ])
  return { ...page, counted: page.isWide ? await count(true) : beside }
}

const findNext = async (
  context: Context,
  wanted: Wanted,
  facets: readonly Facet[],
  isWide: boolean,
): Promise<Answer> => {
  const [{ sample: _, resolved: __, ...page }, counted] = await Promise.all([
    inSearch(context, (tx) => findPage(tx, wanted, resolvedOnce(wanted.filter))),
    facets.length === 0 ? undefined : facetsOf(context, { filter: wanted.filter, facets, isWide }),
  ])
  return { ...page, counted }
}

/** Descriptions are looked into where the first page is not full without them; from there on they are. */
const findPage = async (
  tx: Queryable,
  { sorting, after, limit }: Wanted,
  resolving: Resolving,
  isSampled = false,
): Promise<Page> => {
  const resolved = await resolving(tx)
  const read = async (isWide: boolean) => {
    const range = { filter: resolved, sorting, after, limit: limit + 1, isWide, isSampled }
    const rows = await repository.listFound(tx, range)
    const sample = repository.sampleOf(rows)
    const found = rows.slice(0, limit)
    return { isWide, found, isMore: rows.length > limit, sample, resolved }
  }
  const page = await read(after?.isWide ?? false)
  const isFull = page.found.length === limit
  return after || isFull || resolved.query === undefined ? page : read(true)
}

/** Asks the database what the words of a search mean to it, and by what numbers it knows its terms. */
const resolve = async (
  tx: Queryable,
  { q, category, tag, license, pricing, publisher, ...rest }: Filter,
): Promise<Resolved> => {
  const query = q === undefined ? undefined : await repository.readWords(tx, splitLast(q))
  const asked = { category, tag, license, pricing, publisher }
  return {
    ...rest,
    ...(query === undefined ? {} : { query }),
    ...(Object.values(asked).some((each) => each !== undefined) ? await codesOf(tx, asked) : {}),
  }
}

type Resolving = (tx: Queryable) => Promise<Resolved>

/** Asked by the first transaction that needs it, known to all of the search. */
const resolvedOnce = (filter: Filter): Resolving => {
  let resolving: Promise<Resolved> | undefined
  return (tx) => {
    resolving ??= resolve(tx, filter)
    return resolving
  }
}

/** What no listed template has has no number. */
const NONE = -1

const codesOf = async (tx: Queryable, asked: Pick<Filter, (typeof OF_TERMS)[number]>) => {
  const known = await repository.listCodes(tx, asked)
  const of = (member: (typeof OF_TERMS)[number]) => {
    const codes = known.flatMap(({ facet, code }) => (FACETS[facet] === member ? [code] : []))
    const wanted = member === 'tag' ? asked.tag!.length : 1
    return codes.length < wanted ? [NONE] : codes
  }
  const given = OF_TERMS.filter((member) => asked[member] !== undefined)
  return Object.fromEntries(given.map((member) => [member, of(member)]))
}

type Asking = { filter: Filter; facets: readonly Facet[]; isWide: boolean }

const facetsOf = (context: Context, asking: Asking): Promise<Facets> =>
  kept(context, ['facets', asking.filter, asking.facets, asking.isWide], () =>
    countUnder(context, asking),
  )

const countUnder = (context: Context, { filter, ...asking }: Asking) =>
  inSearch(context, async (tx) => countFacets(tx, { ...asking, filter: await resolve(tx, filter) }))

const suggestionFor = async (context: Context, q: string) => {
  const known = await kept(context, ['words'], () => inSearch(context, readKnownWords))
  const unknown = unknownIn(known, q)
  if (unknown.length === 0) return undefined
  return inSearch(context, (tx) => suggest(tx, known, q, unknown))
}

/** A page by its number, for clients that know no cursors, with how many are found in all. */
export const searchNumbered = async (
  context: Context,
  {
    filter,
    facets,
    ...page
  }: { filter: Filter; sort: Sort; offset: number; limit: number; facets: readonly Facet[] },
): Promise<{ items: CatalogItem[]; total: number; facets: Facets }> => {
  const { isWide, total } = await kept(context, ['count', filter, page.limit], () =>
    inSearch(context, async (tx) => countFound(tx, await resolve(tx, filter), page.limit)),
  )
  const sorting: Sorting = { sort: page.sort, order: 'desc', currency: undefined }
  const found = await kept(context, ['numbered', filter, page], () =>
    inSearch(context, async (tx) => {
      const range = {
        ...page,
        sorting,
        isWide,
        after: undefined,
        filter: await resolve(tx, filter),
      }
      return [...(await repository.listFound(tx, range))]
    }),
  )
  const counted = await facetsOf(context, { filter, facets, isWide })
  const items = found.map(({ key: _, sample: __, ...item }): CatalogItem => item)
  return { items, total, facets: counted }
}

const countFound = async (tx: Queryable, filter: Resolved, limit: number) => {
  const total = await repository.countFound(tx, filter, false)
  if (total >= limit || filter.query === undefined) return { isWide: false, total }
  return { isWide: true, total: await repository.countFound(tx, filter, true) }
}
