import type { Queryable } from '../platform/db/connect.ts'
import { type Resolved, withoutFacet } from './matching.ts'
import type { Facet, Facets } from './schema.ts'
import * as repository from './search-repository.ts'

const VALUES_MAX = 50

/** Each facet under the filters of the others: those that filter nothing together, the others one by one. */
export const countFacets = async (
  tx: Queryable,
  { filter, facets, isWide }: { filter: Resolved; facets: readonly Facet[]; isWide: boolean },
): Promise<Facets> => {
  const counted: Facets = { sampled: false }
  const above = facets.includes('category') ? await readAbove(tx) : new Map<string, string[]>()
  const count = async (together: readonly Facet[], under: Resolved) => {
    const sample = await repository.readSample(tx, { filter: under, isWide })
    if (sample.length > repository.SAMPLE) counted.sampled = true
    const rows = sample.slice(0, repository.SAMPLE)
    for (const facet of together) counted[facet] = await valuesOf(tx, rows, facet, above)
  }
  const free = facets.filter((facet) => withoutFacet(filter, facet) === undefined)
  if (free.length > 0) await count(free, filter)
  for (const facet of facets) {
    const under = withoutFacet(filter, facet)
    if (under) await count([facet], under)
  }
  return counted
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

/** The values of a facet, the most frequent first. A category counts with all below it. */
const valuesOf = async (
  tx: Queryable,
  rows: readonly repository.Sampled[],
  facet: Facet,
  above: ReadonlyMap<string, readonly string[]>,
) => {
  const counts = new Map<string, number>()
  for (const row of rows)
    for (const own of row[facet])
      for (const value of facet === 'category' ? (above.get(own) ?? [own]) : [own])
        counts.set(value, (counts.get(value) ?? 0) + 1)
  const handles = facet === 'publisher' ? await readHandles(tx, [...counts.keys()]) : undefined
  return [...counts]
    .map(([value, count]) => ({ value: handles?.get(value) ?? value, count }))
    .sort((one, other) => other.count - one.count || (one.value < other.value ? -1 : 1))
    .slice(0, VALUES_MAX)
}

const readHandles = async (tx: Queryable, ids: readonly string[]) => {
  const rows = await repository.listHandles(tx, ids)
  return new Map(rows.map(({ organizationId, handle }) => [organizationId, handle]))
}
