import type { Context } from '../platform/context.ts'
import { inOrganization } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import { getCategories } from './categories.ts'
import type { Importable, OneNumber, SearchWorkflows, Workflow, Workflows } from './n8n-schema.ts'
import * as repository from './repository.ts'
import type { Card, CatalogItem, Category, Facet, Sort } from './schema.ts'
import { searchNumbered } from './search.ts'
import { readCard } from './service.ts'
import { getContent } from './versions.ts'

/** What n8n calls the facets it shows. */
const FIELDS: Partial<Record<Facet, string>> = { category: 'categories', integration: 'apps' }
const FACETS = Object.keys(FIELDS) as Facet[]

/** `views:desc` and the like; what is unknown is left to us. */
const SORTS: Record<string, Sort> = {
  rank: 'popular',
  views: 'popular',
  totalviews: 'popular',
  trendingscore: 'trending',
  createdat: 'newest',
  newest: 'newest',
}

const flatten = (categories: readonly Category[]): Category[] =>
  categories.flatMap((category) => [category, ...flatten(category.children)])

const wordOf = (name: string) => name.trim().toLowerCase()

/** Searches workflows as n8n asks for them: by number of page, by names or numbers of categories. */
export const searchWorkflows = async (
  context: Context,
  { page, search, sort, ...input }: SearchWorkflows,
): Promise<Workflows> => {
  const limit = input.limit ?? input.rows ?? 20
  const [named] = [...input.category, ...input.categories].map(wordOf)
  const all = flatten((await getCategories(context)).items)
  const category = all.find(({ slug, name, number }) =>
    [slug, wordOf(name), String(number)].includes(named ?? ''),
  )
  // What it asks for is not there, and so is nothing in it.
  const slug = named === undefined ? undefined : (category?.slug ?? 'unknown')
  const integration = [...input.app, ...input.apps].map((app) =>
    wordOf(app).replace(/[^a-z0-9-]/g, ''),
  )
  const [, sortName = ''] = /^_?([a-z]*)/i.exec(sort) ?? []
  const { items, total, facets } = await searchNumbered(context, {
    filter: {
      kind: 'scenario',
      ...(search === '' ? {} : { q: search }),
      ...(slug === undefined ? {} : { category: slug }),
      ...(integration.length === 0 ? {} : { integration }),
    },
    sort: SORTS[sortName.toLowerCase()] ?? (search === '' ? 'popular' : 'relevance'),
    offset: (page - 1) * limit,
    limit,
    facets: FACETS,
  })
  return {
    totalWorkflows: total,
    workflows: items.map(shown),
    filters: FACETS.map((facet) => ({
      field_name: FIELDS[facet]!,
      sampled: facets.sampled,
      stats: { total_values: facets[facet]?.length ?? 0 },
      counts: (facets[facet] ?? []).map(({ value, count }) => ({
        ...{ count, value: nameOf(all, facet, value) },
        highlighted: nameOf(all, facet, value),
      })),
    })),
  }
}

const nameOf = (all: readonly Category[], facet: Facet, value: string) =>
  facet === 'category' ? (all.find(({ slug }) => slug === value)?.name ?? value) : value

type Shown = CatalogItem | Card

const shown = ({ number, name, createdAt, installs, publisher, integrations }: Shown) => ({
  ...{ id: number, name, createdAt, totalViews: installs },
  user: { username: publisher?.handle ?? '', verified: publisher?.verified ?? false },
  nodes: integrations.map((integration, at) => ({
    ...{ id: at + 1, name: integration, displayName: integration },
    ...{ icon: 'fa:cube', iconData: { type: 'icon' as const, icon: 'cube' } },
    ...{ defaults: { name: integration }, categories: [] },
  })),
})

/** All categories, those below others too. */
export const listN8nCategories = async (context: Context) => {
  const all = flatten((await getCategories(context)).items)
  return { categories: all.map(({ number, name }) => ({ id: number, name })) }
}

/** @throws Problem 404 always: there are no collections */
export const getCollection = (): never => {
  throw new Problem('not-found', 'collection-not-found', 'There is no such collection.')
}

const findCard = (context: Context, { number }: OneNumber) =>
  inOrganization(context, async (tx, organizationId) => {
    const found = await repository.findNumbered(tx, number)
    if (!found) throw new Problem('not-found', 'workflow-not-found', 'There is no such workflow.')
    return readCard(tx, organizationId, found.id)
  })

const read = (context: Context, template: string) =>
  getContent(context, { template, version: 'latest' })

/** What n8n shows before it imports. Of what must be bought first all but the workflow itself. */
export const getWorkflow = async (context: Context, one: OneNumber): Promise<Workflow> => {
  const card = await findCard(context, one)
  const definition = await read(context, card.id)
    .then((content) => content.definition)
    .catch((error: unknown) => {
      if (error instanceof Problem && error.kind === 'payment-required') return {}
      throw error
    })
  const { categories } = await listN8nCategoriesOf(context, card.category)
  return {
    workflow: {
      ...shown(card),
      description: card.description || card.summary,
      ...{ image: [], categories, workflowInfo: infoOf(definition) },
      workflow: importable(definition),
    },
  }
}

const listN8nCategoriesOf = async (context: Context, slug: string) => {
  const all = flatten((await getCategories(context)).items)
  const own = all.filter((category) => category.slug === slug)
  return { categories: own.map(({ number, name }) => ({ id: number, name })) }
}

/**
 * What n8n imports.
 * @throws Problem 404, 410, 402 as the download decision says
 */
export const getImportable = async (context: Context, one: OneNumber): Promise<Importable> => {
  const card = await findCard(context, one)
  const { definition } = await read(context, card.id)
  return { id: card.number, name: card.name, workflow: importable(definition) }
}

type Definition = Record<string, unknown>

/** What n8n reads of a workflow; what it must find there is there. */
const importable = ({ nodes, connections, settings, pinData }: Definition): Definition => ({
  nodes: Array.isArray(nodes) ? nodes : [],
  connections: connections ?? {},
  ...(settings === undefined ? {} : { settings }),
  ...(pinData === undefined ? {} : { pinData }),
})

const infoOf = ({ nodes }: Definition) => {
  const types = (Array.isArray(nodes) ? nodes : []).map((node: { type?: unknown } | null) =>
    typeof node?.type === 'string' ? node.type : 'unknown',
  )
  const counts = new Map<string, { count: number }>()
  for (const type of types) counts.set(type, { count: (counts.get(type)?.count ?? 0) + 1 })
  return { nodeCount: types.length, nodeTypes: Object.fromEntries(counts) }
}
