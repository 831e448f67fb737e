import * as v from 'valibot'
import { CreateReport } from '../moderation/schema.ts'
import { Currency } from '../orders/schema.ts'
import { Reference, Slug, textUpTo } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'
import { Input, KINDS, TemplateId, VersionText } from '../templates/schema.ts'

export const SORTS = ['relevance', 'popular', 'trending', 'rating', 'newest', 'price'] as const
export type Sort = (typeof SORTS)[number]
export const FACETS = [
  ...(['category', 'tag', 'license', 'pricing', 'integration', 'publisher'] as const),
] as const
export type Facet = (typeof FACETS)[number]

/** A member that may come more than once, or with commas; in any order the same. */
const many = <Item extends v.GenericSchema<string, string>>(item: Item, most: number, least = 1) =>
  v.pipe(
    v.union([v.string(), v.array(v.string())]),
    v.transform((given) => [given].flat().flatMap((text) => text.split(','))),
    v.transform((texts) => [...new Set(texts.filter((text) => text !== ''))].sort()),
    v.minLength(least, 'must name at least one'),
    v.maxLength(most, `must name at most ${most}`),
    v.array(item),
  )

const Word = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must be lower-case letters, digits and hyphens'),
)
const Flag = v.pipe(
  v.picklist(['true', 'false'], 'must be true or false'),
  v.transform((text) => text === 'true'),
)
const whole = (digits: number) =>
  v.pipe(
    v.string(),
    v.regex(new RegExp(`^\\d{1,${digits}}$`), 'must be a whole number'),
    v.transform(Number),
  )
const Stars = v.pipe(
  v.string(),
  v.regex(/^(?:[0-4](?:\.\d{1,2})?|5(?:\.0{1,2})?)$/, 'must be a number from 0 to 5'),
  v.transform(Number),
)
const License = v.pipe(textUpTo(64), v.nonEmpty('must not be empty'))

/** For whom is asked: a key's own organization unless said. */
const AskedFor = { organization: v.optional(Reference) }
export const Asked = v.strictObject(AskedFor)

export const SearchCatalog = v.strictObject({
  ...AskedFor,
  q: v.optional(v.pipe(textUpTo(200), v.trim())),
  /** With all below it. */
  category: v.optional(Slug),
  /** Has all of them. */
  tag: v.optional(many(Word, 12)),
  /** Uses all of them. */
  integration: v.optional(many(Word, 20)),
  /** Uses none but these. */
  usableWith: v.optional(many(Word, 200, 0)),
  license: v.optional(License),
  pricing: v.optional(v.picklist(['free', 'paid'], 'must be free or paid')),
  /** In minor units of `currency`, which must be named; what is free costs 0 in each. */
  priceMin: v.optional(whole(12)),
  priceMax: v.optional(whole(12)),
  currency: v.optional(Currency),
  ratingMin: v.optional(Stars),
  publisher: v.optional(Slug),
  official: v.optional(Flag),
  verified: v.optional(Flag),
  kind: v.optional(v.picklist(KINDS, 'must be scenario or role_pack')),
  /** Whose content changed in so many days. */
  newerThan: v.optional(v.pipe(whole(4), v.minValue(1, 'must be at least 1'))),
  sort: v.optional(v.picklist(SORTS, `must be one of ${SORTS.join(', ')}`)),
  order: v.optional(v.picklist(['asc', 'desc'], 'must be asc or desc')),
  facets: v.optional(many(v.picklist(FACETS, `must be of ${FACETS.join(', ')}`), FACETS.length)),
  ...Page,
})
export type SearchCatalog = v.InferOutput<typeof SearchCatalog>

const Price = v.object({ currency: v.string(), amountMinor: v.number() })
const Rating = v.object({ score: v.number(), count: v.number() })

/** A listed template, as everybody is shown it. */
export const CatalogItem = v.object({
  id: v.string(),
  number: v.number(),
  slug: v.string(),
  name: v.string(),
  summary: v.string(),
  kind: v.picklist(KINDS),
  category: v.string(),
  tags: v.array(v.string()),
  integrations: v.array(v.string()),
  license: v.string(),
  prices: v.array(Price),
  publisher: v.object({ handle: v.string(), verified: v.boolean() }),
  official: v.boolean(),
  rating: Rating,
  installs: v.number(),
  latest: v.nullable(v.string()),
  deprecated: v.boolean(),
  createdAt: v.string(),
  updatedAt: v.string(),
  contentUpdatedAt: v.string(),
})
export type CatalogItem = v.InferOutput<typeof CatalogItem>

const Counted = v.array(v.object({ value: v.string(), count: v.number() }))
export const Facets = v.object({
  ...v.entriesFromList(FACETS, v.optional(Counted)),
  /** Counted over the 1,000 most popular of more, over 500 where the facet itself is filtered. */
  sampled: v.boolean(),
})
export type Facets = v.InferOutput<typeof Facets>

export const CatalogPage = v.object({
  items: v.array(CatalogItem),
  nextCursor: v.nullable(v.string()),
  facets: v.optional(Facets),
  /** The same search with its unknown words replaced by known ones. */
  didYouMean: v.optional(v.string()),
})
export type CatalogPage = v.InferOutput<typeof CatalogPage>

export type Category = {
  slug: string
  number: number
  name: string
  /** Listed templates in it and in all below it. */
  count: number
  children: Category[]
}
const Category: v.GenericSchema<Category> = v.object({
  slug: v.string(),
  number: v.number(),
  name: v.string(),
  count: v.number(),
  children: v.array(v.lazy(() => Category)),
})
export const Categories = v.object({ items: v.array(Category) })

export const ListRemovals = v.strictObject({ ...AskedFor, ...Page })

export const OneTemplate = v.object({ template: TemplateId })
export type OneTemplate = v.InferOutput<typeof OneTemplate>
export const NamedTemplate = v.object({ handle: Slug, slug: Slug })
export type NamedTemplate = v.InferOutput<typeof NamedTemplate>
export const OneVersion = v.object({ template: TemplateId, version: VersionText })
export type OneVersion = v.InferOutput<typeof OneVersion>
export const DifferenceFrom = v.strictObject({ ...AskedFor, from: VersionText })

/** A version that others may know of: never its definition. */
export const CatalogVersion = v.object({
  version: v.string(),
  status: v.picklist(['published', 'yanked', 'blocked']),
  /** Why it was yanked or blocked. */
  statusReason: v.nullable(v.string()),
  integrity: v.string(),
  sizeBytes: v.number(),
  capabilities: v.array(v.string()),
  inputs: v.array(Input),
  changelog: v.string(),
  publishedAt: v.nullable(v.string()),
  createdAt: v.string(),
  updatedAt: v.string(),
})
export type CatalogVersion = v.InferOutput<typeof CatalogVersion>
export const CatalogVersions = v.object({
  items: v.array(CatalogVersion),
  nextCursor: v.nullable(v.string()),
})
export const ListVersions = v.strictObject({ ...AskedFor, ...Page })
export type ListVersions = v.InferOutput<typeof ListVersions>

const VersionRef = v.object({ template: v.string(), version: v.string() })
const Advisory = v.object({
  id: v.string(),
  affectedRange: v.string(),
  severity: v.picklist(['low', 'medium', 'high', 'critical']),
  summary: v.string(),
  fixedIn: v.nullable(v.string()),
  publishedAt: v.string(),
})
export type Advisory = v.InferOutput<typeof Advisory>
const Entitlement = v.object({
  source: v.picklist(['purchase', 'grant', 'plan']),
  license: v.string(),
  expiresAt: v.nullable(v.string()),
  /** While a payment is disputed. */
  isSuspended: v.boolean(),
})
export type Entitlement = v.InferOutput<typeof Entitlement>

/** All that is shown of one template. */
export const Card = v.object({
  ...CatalogItem.entries,
  /** Null of one's own that has no handle yet. */
  publisher: v.nullable(CatalogItem.entries.publisher),
  /** Markdown without HTML. */
  description: v.string(),
  /** The newest 50. */
  versions: v.array(v.pick(CatalogVersion, ['version', 'status', 'publishedAt'])),
  /** Of the latest version. */
  capabilities: v.array(v.string()),
  inputs: v.array(Input),
  advisories: v.array(Advisory),
  derivedFrom: v.nullable(VersionRef),
  /** How many listed templates were made of it. */
  derived: v.number(),
  deprecationNote: v.nullable(v.string()),
  successor: v.nullable(v.string()),
  /** What the organization that asks has bought or was given. */
  entitlement: v.nullable(Entitlement),
})
export type Card = v.InferOutput<typeof Card>

const Changed = <Item extends v.GenericSchema>(item: Item) =>
  v.object({ added: v.array(item), removed: v.array(item) })
export const Difference = v.object({
  from: v.string(),
  to: v.string(),
  capabilities: Changed(v.string()),
  inputs: v.object({ ...Changed(Input).entries, changed: v.array(Input) }),
  changelog: v.string(),
})
export type Difference = v.InferOutput<typeof Difference>

export const ListRatings = v.strictObject({ ...AskedFor, ...Page })
export type ListRatings = v.InferOutput<typeof ListRatings>

export const RatingItem = v.object({
  stars: v.number(),
  body: v.nullable(v.string()),
  version: v.string(),
  /** One's own; of the others only moderators are told whose they are. */
  isOwn: v.boolean(),
  subject: v.nullable(v.string()),
  createdAt: v.string(),
  updatedAt: v.string(),
})
export type RatingItem = v.InferOutput<typeof RatingItem>

export const PutRating = v.strictObject({
  stars: v.pipe(
    v.number('must be a whole number from 1 to 5'),
    v.integer('must be a whole number from 1 to 5'),
    v.minValue(1, 'must be a whole number from 1 to 5'),
    v.maxValue(5, 'must be a whole number from 1 to 5'),
  ),
  body: v.optional(v.nullable(textUpTo(2000))),
})
export type PutRating = v.InferOutput<typeof PutRating>

const OwnRating = v.object({
  stars: v.number(),
  body: v.nullable(v.string()),
  version: v.string(),
  createdAt: v.string(),
  updatedAt: v.string(),
})
export type OwnRating = v.InferOutput<typeof OwnRating>
export const Rated = v.object({ ...Rating.entries, own: v.nullable(OwnRating) })
export type Rated = v.InferOutput<typeof Rated>

export const Report = CreateReport
