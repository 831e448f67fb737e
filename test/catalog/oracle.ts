import type { CatalogItem } from '../../src/catalog/schema.ts'

/** What a random catalog is made of: few values, so that many templates share them. */
export const WORDS = ['slack', 'invoice', 'report', 'sync', 'tea', 'garden', 'nightly', 'mail']
export const CATEGORIES = ['sales', 'finance', 'data', 'leads', 'cold-leads']
const TAGS = ['crm', 'billing', 'daily', 'beta']
const INTEGRATIONS = ['slack', 'github', 'stripe']
const LICENSES = ['MIT', 'GPL-3.0-only']
const CURRENCIES = ['EUR', 'USD', 'JPY']
const VISIBLE = [
  ...['public listed', 'public listed', 'public listed', 'public draft', 'public in_review'],
  ...['public delisted', 'public taken_down', 'public rejected', 'private draft', 'unlisted draft'],
]
/** Below another. */
export const PARENTS: Record<string, string> = { leads: 'sales', 'cold-leads': 'leads' }

/** Numbers from 0 to 1 from a fixed seed. */
export const randomFrom = (seed: number) => {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32
  }
}
export type Random = ReturnType<typeof randomFrom>

const pick = <Value>(random: Random, values: readonly Value[]): Value =>
  values[Math.floor(random() * values.length)]!
const some = (random: Random, values: readonly string[], chance = 0.4) =>
  values.filter(() => random() < chance)
const real = Math.fround

/** One template, with more that is shared than that tells it apart. */
export const drawTemplate = (random: Random) => {
  const [visibility, listing] = pick(random, VISIBLE).split(' ') as [string, string]
  const ratingCount = Math.floor(random() * 3)
  return {
    ...{ visibility, listing },
    name: `${pick(random, WORDS)} ${pick(random, WORDS)}`,
    summary: pick(random, WORDS),
    description: `${pick(random, WORDS)} and ${pick(random, ['ocean', 'harbor', 'lantern'])}`,
    category: pick(random, CATEGORIES),
    tags: some(random, TAGS),
    integrations: some(random, INTEGRATIONS),
    license: pick(random, LICENSES),
    kind: random() < 0.8 ? 'scenario' : 'role_pack',
    isOfficial: random() < 0.2,
    ...{ ratingCount, ratingSum: ratingCount * 4 },
    ratingScore: ratingCount === 0 ? 0 : pick(random, [3.5, 4.1, 4.9].map(real)),
    installCount: Math.floor(random() * 5),
    popularity: real(pick(random, [0, 0.1, 0.3, 1.7])),
    trending: real(pick(random, [0, 0.3])),
    contentUpdatedAt: pick(random, [0, 3, 40]),
    prices: some(random, random() < 0.5 ? [] : CURRENCIES).map((currency) => ({
      currency,
      amountMinor: pick(random, [100, 500, 1000]),
    })),
  }
}
export type Drawn = Omit<ReturnType<typeof drawTemplate>, 'contentUpdatedAt'> & {
  id: string
  contentUpdatedAt: string
  publisher: string
  verified: boolean
}

/** A search, as it is asked. */
export type Asked = Record<string, string | string[]>

export const drawSearch = (random: Random, publishers: readonly string[]): Asked => {
  const asked: Asked = {}
  const maybe = (name: string, chance: number, value: () => string | string[]) => {
    if (random() < chance) asked[name] = value()
  }
  maybe('q', 0.25, () =>
    pick(random, [
      ...WORDS,
      'sla',
      'invoices',
      'ocean',
      'slack report',
      '-tea mail',
      'tea or mail',
    ]),
  )
  maybe('category', 0.25, () => pick(random, CATEGORIES))
  maybe('tag', 0.2, () => [pick(random, TAGS), ...some(random, TAGS, 0.2)])
  maybe('integration', 0.2, () => [pick(random, INTEGRATIONS)])
  maybe('usableWith', 0.15, () => some(random, INTEGRATIONS, 0.6))
  maybe('license', 0.15, () => pick(random, LICENSES))
  maybe('pricing', 0.2, () => pick(random, ['free', 'paid']))
  maybe('ratingMin', 0.15, () => pick(random, ['0', '3', '4.1', '5']))
  maybe('publisher', 0.15, () => pick(random, publishers))
  maybe('official', 0.15, () => pick(random, ['true', 'false']))
  maybe('verified', 0.15, () => pick(random, ['true', 'false']))
  maybe('kind', 0.15, () => pick(random, ['scenario', 'role_pack']))
  maybe('newerThan', 0.15, () => pick(random, ['1', '7', '100']))
  if (random() < 0.3) {
    asked.currency = pick(random, CURRENCIES)
    maybe('priceMin', 0.5, () => pick(random, ['0', '1', '500']))
    maybe('priceMax', 0.5, () => pick(random, ['0', '100', '500', '5000']))
  }
  const sorts = ['popular', 'trending', 'rating', 'newest', ...(asked.q ? ['relevance'] : [])]
  maybe('sort', 0.8, () => pick(random, asked.currency ? [...sorts, 'price'] : sorts))
  maybe('order', 0.5, () => pick(random, ['asc', 'desc']))
  return asked
}

const DAY_MS = 86_400_000
const under = (category: string, wanted: string): boolean =>
  category === wanted || (PARENTS[category] !== undefined && under(PARENTS[category], wanted))
const stem = (word: string) => word.replace(/s$/, '')

/** Whether words stand in a text, as a search box means them; the last may be begun only. */
const matches = (q: string, text: string) => {
  const words = text.split(/[\s-]+/).map(stem)
  const has = (word: string, isLast: boolean) =>
    words.some((each) => each === stem(word) || (isLast && each.startsWith(word)))
  if (q.includes(' or ')) return q.split(' or ').some((word, at) => has(word, at > 0 && false))
  const asked = q.split(' ')
  return asked.every((word, at) =>
    word.startsWith('-') ? !has(word.slice(1), false) : has(word, at === asked.length - 1),
  )
}

const listOf = (value: string | string[] | undefined) =>
  value === undefined ? undefined : [value].flat()

/** Whether a search finds a template; `isWide` where descriptions are looked into. */
export const finds = (asked: Asked, each: Drawn, nowMs: number, isWide: boolean): boolean => {
  const one = (name: string) => asked[name] as string | undefined
  const [min, max, currency] = [one('priceMin'), one('priceMax'), one('currency')]
  const price = each.prices.find((known) => known.currency === currency)?.amountMinor
  const costs = each.prices.length === 0 ? 0 : price
  const isPriced =
    (min === undefined && max === undefined) ||
    (costs !== undefined && costs >= Number(min ?? 0) && costs <= Number(max ?? Number.MAX_VALUE))
  const narrow = `${each.name} ${each.summary} ${each.tags.join(' ')}`
  const q = one('q')
  const tests = [
    each.listing === 'listed' && each.visibility === 'public',
    q === undefined || matches(q, narrow) || (isWide && matches(q, each.description)),
    one('category') === undefined || under(each.category, one('category')!),
    listOf(asked.tag)?.every((tag) => each.tags.includes(tag)) ?? true,
    listOf(asked.integration)?.every((name) => each.integrations.includes(name)) ?? true,
    asked.usableWith === undefined ||
      each.integrations.every((name) => listOf(asked.usableWith)!.includes(name)),
    one('license') === undefined || each.license === one('license'),
    one('pricing') === undefined || (each.prices.length > 0 ? 'paid' : 'free') === one('pricing'),
    each.ratingScore >= Number(one('ratingMin') ?? 0),
    one('publisher') === undefined || each.publisher === one('publisher'),
    one('official') === undefined || String(each.isOfficial) === one('official'),
    one('verified') === undefined || String(each.verified) === one('verified'),
    one('kind') === undefined || each.kind === one('kind'),
    one('newerThan') === undefined ||
      Date.parse(each.contentUpdatedAt) > nowMs - Number(one('newerThan')) * DAY_MS,
    isPriced,
    one('sort') !== 'price' || costs !== undefined,
  ]
  return tests.every(Boolean)
}

/** What a search sorts by; undefined for relevance, which only the database knows. */
export const keyOf = (asked: Asked, each: Drawn): number | undefined => {
  const sort = asked.sort ?? (asked.q ? 'relevance' : 'popular')
  if (sort === 'relevance') return undefined
  const price = each.prices.find(({ currency }) => currency === asked.currency)?.amountMinor ?? 0
  return {
    popular: each.popularity,
    trending: each.trending,
    rating: each.ratingScore,
    newest: Date.parse(each.contentUpdatedAt),
    price,
  }[sort as 'popular']
}

/** The templates that are found, in the order in which they are found. */
export const expected = (asked: Asked, all: readonly Drawn[], nowMs: number, isWide: boolean) => {
  const found = all.filter((each) => finds(asked, each, nowMs, isWide))
  const isDescending = (asked.order ?? (asked.sort === 'price' ? 'asc' : 'desc')) === 'desc'
  const compare = (one: Drawn, other: Drawn) =>
    (keyOf(asked, other) ?? 0) - (keyOf(asked, one) ?? 0) || (one.id < other.id ? -1 : 1)
  return found.sort((one, other) => (isDescending ? compare(one, other) : compare(other, one)))
}

/** The values of a template that a facet counts. */
export const VALUES: Record<string, (each: Drawn) => string[]> = {
  category: ({ category }) => CATEGORIES.concat().filter((wanted) => under(category, wanted)),
  tag: ({ tags }) => tags,
  license: ({ license }) => [license],
  pricing: ({ prices }) => [prices.length > 0 ? 'paid' : 'free'],
  integration: ({ integrations }) => integrations,
  publisher: ({ publisher }) => [publisher],
}

/** The members of an item: nothing else is ever shown in a list. */
export const ITEM_MEMBERS = Object.keys({
  ...{ id: 1, number: 1, slug: 1, name: 1, summary: 1, kind: 1, category: 1, tags: 1 },
  ...{ integrations: 1, license: 1, prices: 1, publisher: 1, official: 1, rating: 1 },
  ...{ installs: 1, latest: 1, deprecated: 1, createdAt: 1, updatedAt: 1, contentUpdatedAt: 1 },
} satisfies Record<keyof CatalogItem, 1>).sort()
