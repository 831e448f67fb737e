import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { hashOf, readCursor, writeCursor } from './cursor.ts'
import { countFacets } from './facets.ts'
import { type Filter, readSearch, type Sorting } from './filter.ts'
import { kept } from './kept.ts'
import type { Resolved } from './matching.ts'
import type { CatalogItem, CatalogPage, Facet, Facets, SearchCatalog, Sort } from './schema.ts'
import * as repository from './search-repository.ts'
import { readKnownWords, splitLast, suggest } from './words.ts'

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
  const find = () => findPage(context, { filter, sorting, after, limit })
  const count = (isWide: boolean) =>
    facets.length === 0 ? undefined : facetsOf(context, { filter, facets, isWide })
  // Counted beside the page: rarely it turns out that descriptions are looked into, and then there is little to count.
  const [{ isWide, found, isMore }, beside] = await Promise.all([
    after ? find() : kept(context, ['page', filter, sorting, limit], find),
    count(after?.isWide ?? false),
  ])
  const last = found.at(-1)
  const nextCursor =
    isMore && last ? writeCursor(hash, { key: last.key, id: last.id, isWide }) : null
  const counted = isWide === (after?.isWide ?? false) ? beside : await count(isWide)
  const didYouMean = after || !filter.q ? undefined : await suggestionFor(context, filter.q)
  const items = found.map(({ key: _, ...item }): CatalogItem => item)
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
type Page = { isWide: boolean; found: repository.Found[]; isMore: boolean }

/** Descriptions are looked into where the first page is not full without them; from there on they are. */
const findPage = (context: Context, { filter, sorting, after, limit }: Wanted): Promise<Page> =>
  inSearch(context, async (tx) => {
    const resolved = await resolve(tx, filter)
    const read = async (isWide: boolean) => {
      const range = { filter: resolved, sorting, after, limit: limit + 1, isWide }
      const rows = await repository.listFound(tx, range)
      return { isWide, found: rows.slice(0, limit), isMore: rows.length > limit }
    }
    const page = await read(after?.isWide ?? false)
    const isFull = page.found.length === limit
    return after || isFull || resolved.query === undefined ? page : read(true)
  })

/** Asks the database what the words of a search mean to it, and what lies below a category. */
const resolve = async (tx: Queryable, { q, category, ...rest }: Filter): Promise<Resolved> => {
  const query = q === undefined ? undefined : await repository.readWords(tx, splitLast(q))
  const categories = category === undefined ? undefined : await repository.listBelow(tx, category)
  return {
    ...rest,
    ...(query === undefined ? {} : { query }),
    ...(categories ? { categories } : {}),
  }
}

const facetsOf = (
  context: Context,
  { filter, facets, isWide }: { filter: Filter; facets: readonly Facet[]; isWide: boolean },
): Promise<Facets> =>
  kept(context, ['facets', filter, facets, isWide], () =>
    inSearch(context, async (tx) =>
      countFacets(tx, { filter: await resolve(tx, filter), facets, isWide }),
    ),
  )

const suggestionFor = async (context: Context, q: string) => {
  const known = await kept(context, ['words'], () => inSearch(context, readKnownWords))
  return inSearch(context, (tx) => suggest(tx, known, q))
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
  const items = found.map(({ key: _, ...item }): CatalogItem => item)
  return { items, total, facets: counted }
}

const countFound = async (tx: Queryable, filter: Resolved, limit: number) => {
  const total = await repository.countFound(tx, filter, false)
  if (total >= limit || filter.query === undefined) return { isWide: false, total }
  return { isWide: true, total: await repository.countFound(tx, filter, true) }
}
