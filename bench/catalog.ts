import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { refreshCatalog } from '../src/catalog/refresh.ts'
import { FACETS, type SearchCatalog } from '../src/catalog/schema.ts'
import { searchCatalog } from '../src/catalog/search.ts'
import { COUNTED_MAX } from '../src/catalog/search-repository.ts'
import type { Context } from '../src/platform/context.ts'
import type { Sql } from '../src/platform/db/connect.ts'
import { asAdministrator, within } from '../test/support/database.ts'
import {
  drawTemplates,
  type KnownTemplate,
  parentOf,
  putTemplates,
  VOCABULARY,
} from './catalog-rows.ts'
import { type Figure, median, percentile } from './figures.ts'
import { AUTHORIZATION } from './latchkey.ts'
import { openMigrated } from './load.ts'
import { step } from './progress.ts'

export type CatalogAmount = { templates: number; requests: number }

type Input = Partial<SearchCatalog>
/** A template with the figures that the refresh has worked out. */
type Sorted = KnownTemplate & { popularity: number }
type Kind = {
  name: string
  /** The n-th request: no two alike, as far as there are so many. */
  ask: (n: number) => Input
  /** Whether it finds a template; undefined where only the database knows in which order. */
  finds: (each: Sorted, input: Input) => boolean
  /** The same where the first page is not full otherwise. */
  findsDescribed?: (each: Sorted, input: Input) => boolean
}

const LIMIT = 24
const ALL = [...FACETS]
const isUnder = (category: string, wanted: string) =>
  category === wanted || parentOf(category) === wanted
const hasWord = (text: string, begun: string) =>
  text.split(' ').some((word) => word.startsWith(begun))
const narrow = ({ name, summary, tags }: KnownTemplate, word: string) =>
  hasWord(name, word) || hasWord(summary, word) || tags.some((tag) => tag.split('-').includes(word))
const inRange = ({ prices }: KnownTemplate, { priceMin = 0, priceMax = 0 }: Input) =>
  prices.some(
    ({ currency, amountMinor }) =>
      currency === 'EUR' && amountMinor >= priceMin && amountMinor <= priceMax,
  )
const wordAt = (rank: number) => VOCABULARY[rank]!
const tagged = (n: number) =>
  [`tag-${n % 12}`, ...(n % 3 === 0 ? [`tag-${20 + (n % 7)}`] : [])].sort()

const KINDS: Kind[] = [
  {
    name: 'by popularity',
    ask: (n) => ({ sort: 'popular', limit: LIMIT + (n % 40) }),
    finds: () => true,
  },
  { name: 'newest', ask: (n) => ({ sort: 'newest', limit: LIMIT + (n % 40) }), finds: () => true },
  {
    name: 'by popularity, all facets',
    ask: (n) => ({ sort: 'popular', limit: LIMIT + (n % 40), facets: ALL }),
    finds: () => true,
  },
  {
    name: 'a frequent word (of 7 to 70 % of all), all facets',
    ask: (n) => ({ q: wordAt(n % 12), facets: ALL }),
    finds: (each, { q }) => narrow(each, q!),
  },
  {
    name: 'a word of about 1 % of all, all facets',
    ask: (n) => ({ q: wordAt(80 + n), facets: ALL }),
    finds: (each, { q }) => narrow(each, q!),
  },
  {
    name: 'a rare word, all facets, descriptions too',
    ask: (n) => ({ q: wordAt(7000 + n), facets: ALL }),
    finds: (each, { q }) => narrow(each, q!),
    findsDescribed: (each, { q }) => narrow(each, q!) || hasWord(each.description, q!),
  },
  {
    name: 'two words, by popularity',
    ask: (n) => ({ q: `${wordAt(n % 10)} ${wordAt(30 + n)}`, sort: 'popular' }),
    finds: (each, { q }) => {
      const [one, other] = q!.split(' ') as [string, string]
      const text = `${each.name} ${each.summary}`
      return text.split(' ').includes(one) && hasWord(text, other)
    },
  },
  {
    name: 'category and tags, all facets',
    ask: (n) => ({ category: n % 2 === 0 ? 'sales' : 'finance', tag: tagged(n), facets: ALL }),
    finds: (each, { category, tag }) =>
      isUnder(each.category, category!) && tag!.every((name) => each.tags.includes(name)),
  },
  {
    name: 'a price range, by popularity, all facets',
    ask: (n) => ({ currency: 'EUR', priceMin: 500 + n, priceMax: 3000 + 10 * n, facets: ALL }),
    finds: inRange,
  },
  {
    name: 'a narrow price range, by popularity',
    ask: (n) => ({ currency: 'EUR', priceMin: 5000 + n, priceMax: 5003 + n }),
    finds: inRange,
  },
  {
    name: 'a price range, by price',
    ask: (n) => ({ currency: 'EUR', priceMin: 500 + n, priceMax: 3000 + 10 * n, sort: 'price' }),
    finds: inRange,
  },
  {
    name: 'by price, all there is',
    ask: (n) => ({ currency: n % 2 === 0 ? 'EUR' : 'USD', sort: 'price', limit: LIMIT + (n % 40) }),
    finds: (each, { currency }) =>
      each.pricing === 'free' || each.prices.some((price) => price.currency === currency),
  },
  {
    name: 'usable with five services, by rating, all facets',
    ask: (n) => ({
      usableWith: Array.from({ length: 5 }, (_, at) => `service-${at * (1 + (n % 5))}`),
      ...{ sort: 'rating', facets: ALL },
    }),
    finds: (each, { usableWith }) => each.integrations.every((name) => usableWith!.includes(name)),
  },
  {
    name: 'a misspelt word',
    ask: (n) => ({ q: `${wordAt(200 + n).slice(0, -2)}xx` }),
    finds: (each, { q }) => narrow(each, q!),
    findsDescribed: (each, { q }) => narrow(each, q!) || hasWord(each.description, q!),
  },
]

const search = (context: Context, input: Input) =>
  searchCatalog(context, { limit: LIMIT, ...input } as SearchCatalog)

/** What an answer must be: found and in order where memory knows the order, else found only. */
const requireRight = async (
  context: Context,
  all: readonly Sorted[],
  { name, ask, finds, findsDescribed }: Kind,
  n: number,
) => {
  const input = ask(n)
  const { items, facets } = await search(context, input)
  const listed = all.filter((each) => finds(each, input))
  const isFull = listed.length >= (input.limit ?? LIMIT)
  const found =
    findsDescribed && !isFull ? all.filter((each) => findsDescribed(each, input)) : listed
  const isPopular = input.sort === 'popular' || (input.sort === undefined && input.q === undefined)
  const ids = items.map(({ id }) => id)
  const byPopularity = found.toSorted(
    (a, b) => b.popularity - a.popularity || (a.id < b.id ? -1 : 1),
  )
  const known = new Set(found.map(({ id }) => id))
  const first = byPopularity.slice(0, ids.length).map(({ id }) => id)
  const isRight =
    ids.length === Math.min(input.limit ?? LIMIT, found.length) &&
    ids.every((id) => known.has(id)) &&
    (!isPopular || ids.join() === first.join())
  const counted = facets?.pricing?.reduce((sum, { count }) => sum + count, 0)
  const total = Math.min(found.length, COUNTED_MAX)
  if (!isRight || (counted !== undefined && counted !== total))
    throw new Error(
      `${name}, request ${n}: ${ids.length} items of ${found.length}, ${counted} counted`,
    )
  return found.length
}

const CHECKED = 3

const figuresOf = async (
  context: Context,
  all: readonly Sorted[],
  kind: Kind,
  { requests }: CatalogAmount,
  { where, target }: { where: string; target: number },
): Promise<Figure> => {
  const sizes: number[] = []
  for (let n = 0; n < CHECKED; n++) sizes.push(await requireRight(context, all, kind, n))
  const times: number[] = []
  for (let n = 0; n < requests; n++) {
    const startedAtMs = performance.now()
    await search(context, kind.ask(n))
    times.push(performance.now() - startedAtMs)
  }
  return {
    name: `${where}: ${kind.name}, p95`,
    value: percentile(times, 0.95),
    lowest: median(times),
    highest: Math.max(...times),
    unit: 'ms',
    ...{ target, reach: 'at most' as const },
    note: `lowest is p50, highest the slowest of ${requests}; the first ${CHECKED} find ${sizes.join(', ')} and agree with memory`,
  }
}

/** Every page is found and every facet counted anew; only the words that are known stay in memory, as on a server. */
const contextOf = (sql: Sql) => {
  let words: Promise<unknown> | undefined
  const get = ({ key }: { key: string }, load: () => Promise<unknown>) => {
    if (!key.startsWith('["words"')) return load()
    words ??= load()
    return words
  }
  const caches = { namespace: () => ({ get }) }
  return { sql, organizationId: '', caches, now: () => new Date() } as unknown as Context
}

const measureOn = async (
  sql: Sql,
  amount: CatalogAmount,
  about: { where: string; target: number },
): Promise<Figure[]> => {
  const templates = drawTemplates(amount.templates, Date.now())
  const loading = step(`${about.where}: templates`, templates.length)
  await putTemplates(sql, templates, (done) => loading.at(done))
  await sql`analyze`
  loading.done()
  const context = contextOf(sql)
  const refreshing = step(`${about.where}: refresh`)
  const startedAtMs = performance.now()
  const { updated, words } = await refreshCatalog(context, new AbortController().signal)
  const refreshMs = performance.now() - startedAtMs
  refreshing.done()
  await sql`vacuum analyze`
  const rows = await sql<{ id: string; popularity: number }[]>`
    select id, popularity::float8 as popularity from templates order by id`
  const all = templates.map((template, at) => ({ ...template, popularity: rows[at]!.popularity }))
  const figures: Figure[] = [
    {
      name: `${about.where}: the hourly refresh`,
      value: refreshMs / 1000,
      unit: 's',
      note: `the first: ${updated} templates written, ${words} words`,
    },
  ]
  const asking = step(`${about.where}: searches`, KINDS.length)
  for (const [at, kind] of KINDS.entries()) {
    asking.at(at, kind.name)
    figures.push(await figuresOf(context, all, kind, amount, about))
  }
  asking.done()
  return figures
}

/** Searches of a catalog in process, one behind the other, no page kept: on a server and on embedded storage. */
export const benchCatalog = async (
  postgresUrl: string,
  amount: CatalogAmount,
): Promise<Figure[]> => {
  const name = 'bench_catalog'
  const admin = AUTHORIZATION.authorization.slice(7)
  await asAdministrator(postgresUrl, `drop database if exists ${name} with (force)`)
  await asAdministrator(postgresUrl, `create database ${name}`)
  const onServer = await openMigrated({
    DATABASE_URL: within(postgresUrl, name),
    LATCHKEY_ADMIN_KEY: admin,
  })
  const figures = await measureOn(onServer.sql, amount, { where: 'PostgreSQL', target: 20 })
  await onServer.close()
  await asAdministrator(postgresUrl, `drop database if exists ${name} with (force)`)
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  try {
    const embedded = await openMigrated({ DATA_DIR: folder, LATCHKEY_ADMIN_KEY: admin })
    figures.push(...(await measureOn(embedded.sql, amount, { where: 'embedded', target: 100 })))
    await embedded.close()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return figures
}
