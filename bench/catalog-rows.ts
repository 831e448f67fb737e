import type { Sql } from '../src/platform/db/connect.ts'
import { zipf } from '../test/support/zipf.ts'

/** A template of the bench, as it is known in memory. */
export type KnownTemplate = {
  id: string
  number: number
  name: string
  summary: string
  description: string
  category: string
  tags: string[]
  integrations: string[]
  license: string
  pricing: 'free' | 'paid'
  organizationId: string
  ratingSum: number
  ratingCount: number
  installCount: number
  contentUpdatedAt: string
  prices: { currency: string; amountMinor: number }[]
}

const [WORDS, TAGS, INTEGRATIONS, PUBLISHERS] = [8000, 400, 60, 500]
const LICENSES = ['MIT', 'Apache-2.0', 'GPL-3.0-only', 'CC-BY-4.0', 'CC0-1.0']
/** Categories below the first ones. */
const BELOW = 30
const DAY_MS = 86_400_000
const YEARS = 3
const BATCH = 2000

const idOf = (prefix: string, n: number) => `${prefix}_${String(n).padStart(26, '0')}`

/** Words that are their own stems in English: syllables that end in a, o or u. */
const wordOf = (n: number): string => {
  const [consonants, vowels] = ['bdfgklmnprtvz', 'aou']
  const syllables: string[] = []
  for (let rest = n + 40; rest > 0; rest = Math.floor(rest / 39))
    syllables.push(consonants[rest % 13]! + vowels[Math.floor((rest % 39) / 13)]!)
  return `${syllables.join('')}ko`
}
export const VOCABULARY: readonly string[] = Array.from({ length: WORDS }, (_, n) => wordOf(n))
export const TAG_NAMES: readonly string[] = Array.from({ length: TAGS }, (_, n) => `tag-${n}`)
export const CATEGORIES: readonly string[] = [
  ...['automation', 'communication', 'data', 'development', 'finance', 'marketing', 'sales'],
  ...Array.from({ length: BELOW }, (_, n) => `below-${n}`),
]
/** What lies above a category. */
export const parentOf = (category: string): string | null =>
  category.startsWith('below-') ? CATEGORIES[Number(category.slice(6)) % 7]! : null

/** Draws templates: few words, tags and integrations are in most of them. */
export const drawTemplates = (count: number, nowMs: number): KnownTemplate[] => {
  const [word, tag, service] = [zipf(WORDS, 1, 3), zipf(TAGS, 0.9, 5), zipf(INTEGRATIONS, 1, 7)]
  const [category, publisher] = [zipf(CATEGORIES.length, 0.7, 11), zipf(PUBLISHERS, 0.8, 13)]
  const [most, dice] = [zipf(5000, 1.1, 17), zipf(1_000_000, 0, 19)]
  const chance = () => dice() / 1_000_000
  const words = (n: number) => Array.from({ length: n }, () => VOCABULARY[word()]!)
  const several = (draw: () => number, most: number, name: (n: number) => string) => [
    ...new Set(Array.from({ length: Math.floor(chance() * (most + 1)) }, () => name(draw()))),
  ]
  return Array.from({ length: count }, (_, n): KnownTemplate => {
    const isPaid = chance() < 0.2
    const amount = () => Math.round(100 * 10 ** (chance() * 3))
    const ratingCount = chance() < 0.4 ? 1 + (most() % 300) : 0
    return {
      ...{ id: idOf('tpl', n + 1), number: n + 1, organizationId: idOf('org', publisher() + 1) },
      ...{
        name: words(3).join(' '),
        summary: words(10).join(' '),
        description: words(60).join(' '),
      },
      ...{ category: CATEGORIES[category()]!, license: LICENSES[Math.floor(chance() * 5)]! },
      tags: several(tag, 5, (at) => TAG_NAMES[at]!),
      integrations: several(service, 4, (at) => `service-${at}`),
      pricing: isPaid ? 'paid' : 'free',
      ...{ ratingCount, ratingSum: Math.round(ratingCount * (2.5 + chance() * 2.5)) },
      installCount: 5000 - most(),
      contentUpdatedAt: new Date(nowMs - Math.floor(chance() * YEARS * 365 * DAY_MS)).toISOString(),
      prices: isPaid
        ? [
            { currency: 'EUR', amountMinor: amount() },
            ...(chance() < 0.5 ? [{ currency: 'USD', amountMinor: amount() }] : []),
          ]
        : [],
    }
  })
}

/** Puts them into a database, past triggers as a restore would. */
export const putTemplates = async (
  sql: Sql,
  templates: readonly KnownTemplate[],
  onProgress: (done: number) => void,
) => {
  const within = (work: (tx: Sql) => Promise<unknown>) =>
    sql.begin(async (tx) => {
      await tx`set local session_replication_role = replica`
      await work(tx as unknown as Sql)
    })
  await within(async (tx) => {
    await tx`insert into organizations (id, slug, name, plan)
      select 'org_' || lpad(n::text, 26, '0'), 'bench-' || n, 'Bench ' || n, 'custom' from generate_series(1, ${PUBLISHERS}) n`
    await tx`insert into publishers (organization_id, handle, verified_at, verified_by)
      select 'org_' || lpad(n::text, 26, '0'), 'handle-' || n, case when n % 3 = 0 then now() end, case when n % 3 = 0 then 'moderator' end
      from generate_series(1, ${PUBLISHERS}) n`
    const rows = CATEGORIES.map((slug) => ({ slug, name: slug, parent: parentOf(slug) }))
    await tx`insert into categories ${tx(rows)} on conflict do nothing`
  })
  for (let from = 0; from < templates.length; from += BATCH) {
    const rows = templates.slice(from, from + BATCH)
    const json = sql.json(rows.map(({ prices: _, number: __, ...row }) => row) as never)
    await within(async (tx) => {
      await tx`
        insert into templates (id, organization_id, slug, name, summary, category, tags, integrations, license, pricing, visibility,
          listing, rating_sum, rating_count, install_count, content_updated_at, terms)
        select id, "organizationId", 't' || right(id, 10), name, summary, category, tags, integrations, license, pricing, 'public',
          'listed', "ratingSum", "ratingCount", "installCount", "contentUpdatedAt",
          terms_of(category, tags, license, pricing, integrations, "organizationId")
        from jsonb_to_recordset(${json}) as r (id text, "organizationId" text, name text, summary text, category text, tags text[],
          integrations text[], license text, pricing text, "ratingSum" bigint, "ratingCount" int, "installCount" bigint,
          "contentUpdatedAt" timestamptz)`
      await tx`insert into template_descriptions (template_id, description)
        select id, description from jsonb_to_recordset(${json}) as r (id text, description text)`
      await tx`
        insert into template_versions (id, template_id, major, minor, patch, definition, integrity, approved_integrity, size_bytes,
          capabilities, status, published_at)
        select 'ver_' || right(id, 26), id, 1, 0, 0, '{}', h, h, 2, '[]', 'published', now()
        from jsonb_to_recordset(${json}) as r (id text), (values ('sha256-' || repeat('A', 43) || '=')) as v (h)`
      const prices = rows.flatMap(({ id, prices }) =>
        prices.map((price) => ({
          ...price,
          templateId: id,
          id: `prc_${price.currency === 'EUR' ? '0' : '1'}${id.slice(5)}`,
        })),
      )
      if (prices.length > 0) await tx`insert into prices ${tx(prices)}`
    })
    onProgress(from + rows.length)
  }
}
