import { unprocessable } from '../platform/problem.ts'
import type { SearchCatalog, Sort } from './schema.ts'

/** What is searched for, without how it is sorted and paged. */
export type Filter = Omit<
  SearchCatalog,
  'organization' | 'sort' | 'order' | 'facets' | 'limit' | 'cursor'
>

/** How what was found is sorted: backwards is the very same the other way round. */
export type Sorting = { sort: Sort; order: 'asc' | 'desc'; currency: string | undefined }

/**
 * The filter and the sorting of a search.
 * @throws Problem 422 for prices without a currency
 */
export const readSearch = (input: SearchCatalog): { filter: Filter; sorting: Sorting } => {
  const {
    organization: _,
    sort: wanted,
    order,
    facets: __,
    limit: ___,
    cursor: ____,
    ...rest
  } = input
  const { q, ...others } = rest
  const filter: Filter = q ? rest : others
  const fallback = q ? 'relevance' : 'popular'
  const sort = wanted === undefined || (wanted === 'relevance' && !q) ? fallback : wanted
  const { priceMin, priceMax, currency } = filter
  if (
    currency === undefined &&
    (priceMin !== undefined || priceMax !== undefined || sort === 'price')
  )
    throw unprocessable('currency-required', '/currency', 'must say in which currency prices are')
  const direction = order ?? (sort === 'price' ? 'asc' : 'desc')
  return { filter, sorting: { sort, order: direction, currency } }
}
