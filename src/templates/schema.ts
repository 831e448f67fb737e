import * as v from 'valibot'
import { Slug, textUpTo } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'
import { DefinitionInput, Name } from '../scenarios/schema.ts'

const VERSION_CHARACTERS_MAX = 128

/** The id of a template. */
export const TemplateId = v.pipe(
  v.string(),
  v.regex(/^tpl_[0-9a-z]{26}$/, 'must be the id of a template'),
)
const ScenarioId = v.pipe(v.string(), v.regex(/^scn_[0-9a-z]{26}$/, 'must be the id of a scenario'))
/** A version in a path or a body; whether it is one is said where it is read. */
export const VersionText = v.pipe(textUpTo(VERSION_CHARACTERS_MAX), v.nonEmpty('must not be empty'))
const Tag = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be 1 to 32 lower-case letters, digits and hyphens'),
)
const Tags = v.pipe(
  v.array(Tag),
  v.maxLength(12, 'must name at most 12'),
  v.transform((tags) => [...new Set(tags)].sort()),
)
const Note = textUpTo(4000)
/** What is told to people: not blank. */
const Reason = v.pipe(
  textUpTo(4000),
  v.check<string, string>((text) => text.trim() !== '', 'must not be blank'),
)

export const KINDS = ['scenario', 'role_pack'] as const
const LISTINGS = ['draft', 'in_review', 'listed', 'rejected', 'delisted', 'taken_down'] as const
const VISIBILITIES = ['private', 'unlisted', 'public'] as const

/** The words of a template, which moderators read. */
const texts = {
  name: Name,
  summary: textUpTo(280),
  description: textUpTo(40_000),
  category: Slug,
  tags: Tags,
  license: v.pipe(textUpTo(64), v.nonEmpty('must not be empty')),
}

/** A change that waits for a moderator: members that stay as they are, are left out. */
export const Proposed = v.partial(v.object(texts))
export type Proposed = v.InferOutput<typeof Proposed>

export const Template = v.object({
  id: v.string(),
  /** What clients of n8n's catalog know it by. */
  number: v.number(),
  slug: v.string(),
  kind: v.picklist(KINDS),
  name: v.string(),
  summary: v.string(),
  description: v.string(),
  category: v.string(),
  tags: v.array(v.string()),
  integrations: v.array(v.string()),
  license: v.string(),
  pricing: v.picklist(['free', 'paid']),
  visibility: v.picklist(VISIBILITIES),
  listing: v.picklist(LISTINGS),
  listingReason: v.nullable(v.string()),
  official: v.boolean(),
  /** The newest published version that is no prerelease. */
  latest: v.nullable(v.string()),
  derivedFrom: v.nullable(v.object({ template: v.string(), version: v.string() })),
  deprecatedAt: v.nullable(v.string()),
  deprecationNote: v.nullable(v.string()),
  successor: v.nullable(v.string()),
  rating: v.object({ score: v.number(), count: v.number() }),
  installs: v.number(),
  pendingEdit: v.nullable(v.object({ case: v.string(), proposed: Proposed, openedAt: v.string() })),
  createdAt: v.string(),
  updatedAt: v.string(),
  contentUpdatedAt: v.string(),
  version: v.number(),
})
export type Template = v.InferOutput<typeof Template>

/** A template in a list: without its long text. */
export const TemplateSummary = v.omit(Template, ['description'])
export type TemplateSummary = v.InferOutput<typeof TemplateSummary>

const DerivedFrom = v.strictObject({ template: TemplateId, version: VersionText })
const source = {
  definition: v.optional(DefinitionInput),
  fromScenario: v.optional(ScenarioId),
}
const isOneAtMost = (...sources: unknown[]) => sources.filter(Boolean).length <= 1
const ONE_SOURCE = 'at most one of definition and fromScenario'

export const CreateTemplate = v.pipe(
  v.strictObject({
    slug: Slug,
    kind: v.optional(v.picklist(KINDS, 'must be scenario or role_pack'), 'scenario'),
    ...texts,
    summary: v.optional(texts.summary, ''),
    description: v.optional(texts.description, ''),
    tags: v.optional(Tags, []),
    ...source,
    derivedFrom: v.optional(DerivedFrom),
  }),
  v.check(({ definition, fromScenario }) => isOneAtMost(definition, fromScenario), ONE_SOURCE),
)
export type CreateTemplate = v.InferOutput<typeof CreateTemplate>

export const PatchTemplate = v.partial(v.strictObject(texts))
export type PatchTemplate = v.InferOutput<typeof PatchTemplate>

export const OneTemplate = v.object({ template: TemplateId })
export type OneTemplate = v.InferOutput<typeof OneTemplate>

export const ListTemplates = v.strictObject({
  kind: v.optional(v.picklist(KINDS, 'must be scenario or role_pack')),
  listing: v.optional(v.picklist(LISTINGS, `must be one of ${LISTINGS.join(', ')}`)),
  q: v.optional(textUpTo(200)),
  ...Page,
})
export type ListTemplates = v.InferOutput<typeof ListTemplates>

export const PutVisibility = v.strictObject({
  visibility: v.picklist(VISIBILITIES, 'must be private, unlisted or public'),
})
export type PutVisibility = v.InferOutput<typeof PutVisibility>

export const Deprecate = v.strictObject({
  /** Null takes it back. */
  note: v.nullable(Reason),
  successor: v.optional(v.nullable(TemplateId)),
})
export type Deprecate = v.InferOutput<typeof Deprecate>

/** What an installer fills in. */
export const Input = v.object({
  name: v.string(),
  type: v.picklist(['text', 'number', 'boolean', 'connection', 'secret']),
  label: v.string(),
  integration: v.optional(v.string()),
  isRequired: v.boolean(),
  default: v.optional(v.union([v.string(), v.number(), v.boolean()])),
})

/** What was looked at, and what was found there. */
export const Check = v.object({
  name: v.string(),
  result: v.picklist(['passed', 'failed', 'warning', 'skipped']),
  detail: v.string(),
  pointer: v.nullable(v.string()),
})
export type Check = v.InferOutput<typeof Check>

const CASE_STATES = ['open', 'approved', 'rejected', 'withdrawn'] as const
const STATUSES = ['draft', 'submitted', 'published', 'rejected', 'yanked', 'blocked'] as const

export const Version = v.object({
  id: v.string(),
  template: v.string(),
  version: v.string(),
  status: v.picklist(STATUSES),
  statusReason: v.nullable(v.string()),
  /** A moderator has approved exactly these bytes, so that others may have them. */
  approved: v.boolean(),
  integrity: v.string(),
  sizeBytes: v.number(),
  capabilities: v.array(v.string()),
  inputs: v.array(Input),
  changelog: v.string(),
  /** The newest submission of it. */
  review: v.nullable(
    v.object({
      case: v.string(),
      state: v.picklist(CASE_STATES),
      reasonCode: v.nullable(v.string()),
      note: v.nullable(v.string()),
      openedAt: v.string(),
      decidedAt: v.nullable(v.string()),
    }),
  ),
  publishedAt: v.nullable(v.string()),
  createdAt: v.string(),
  updatedAt: v.string(),
  /** What `If-Match` names. */
  edit: v.number(),
})
export type Version = v.InferOutput<typeof Version>

export const Checks = v.object({ checks: v.array(Check) })
/** A version that was just made or edited, with what the checks say of it. */
export const CheckedVersion = v.object({ ...Version.entries, ...Checks.entries })
export type CheckedVersion = v.InferOutput<typeof CheckedVersion>

export const Content = v.object({
  definition: v.record(v.string(), v.unknown()),
  integrity: v.string(),
  license: v.string(),
})
export type Content = v.InferOutput<typeof Content>

const Changelog = textUpTo(20_000)
export const CreateVersion = v.pipe(
  v.strictObject({ version: VersionText, ...source, changelog: v.optional(Changelog, '') }),
  v.check(({ definition, fromScenario }) => isOneAtMost(definition, fromScenario), ONE_SOURCE),
  v.check(
    ({ definition, fromScenario }) => definition !== undefined || fromScenario !== undefined,
    'one of definition and fromScenario is required',
  ),
)
export type CreateVersion = v.InferOutput<typeof CreateVersion>

export const PatchVersion = v.pipe(
  v.strictObject({
    version: v.optional(VersionText),
    ...source,
    changelog: v.optional(Changelog),
  }),
  v.check(({ definition, fromScenario }) => isOneAtMost(definition, fromScenario), ONE_SOURCE),
)
export type PatchVersion = v.InferOutput<typeof PatchVersion>

export const OneVersion = v.object({ template: TemplateId, version: VersionText })
export type OneVersion = v.InferOutput<typeof OneVersion>

export const ListVersions = v.strictObject({ ...Page })
export type ListVersions = v.InferOutput<typeof ListVersions>

export const Submit = v.strictObject({ note: v.optional(Note) })
export type Submit = v.InferOutput<typeof Submit>

export const Withdraw = v.strictObject({ reason: Reason })
export type Withdraw = v.InferOutput<typeof Withdraw>

/** Something a moderator has to decide, as the publisher sees it: who decided stays among moderators. */
export const Case = v.object({
  id: v.string(),
  kind: v.picklist(['submission', 'edit', 'report', 'appeal']),
  template: v.string(),
  version: v.nullable(v.string()),
  appeals: v.nullable(v.string()),
  state: v.picklist(CASE_STATES),
  note: v.nullable(v.string()),
  proposed: v.nullable(Proposed),
  checks: v.array(Check),
  openedBy: v.string(),
  openedAt: v.string(),
})
export type Case = v.InferOutput<typeof Case>

export const Appeal = v.strictObject({
  removal: v.pipe(v.string(), v.regex(/^rmv_[0-9a-z]{26}$/, 'must be the id of a removal')),
  note: Reason,
})
export type Appeal = v.InferOutput<typeof Appeal>

export const Publisher = v.object({
  handle: v.string(),
  domain: v.nullable(v.string()),
  verifiedAt: v.nullable(v.string()),
  verifiedBy: v.nullable(v.picklist(['domain', 'moderator'])),
  status: v.picklist(['active', 'banned']),
  statusReason: v.nullable(v.string()),
  createdAt: v.string(),
  updatedAt: v.string(),
  version: v.number(),
})
export type Publisher = v.InferOutput<typeof Publisher>

const Domain = v.pipe(textUpTo(253), v.nonEmpty('must not be empty'), v.toLowerCase())
export const PutPublisher = v.strictObject({
  handle: Slug,
  /** Left out, it stays; null takes it away. */
  domain: v.optional(v.nullable(Domain)),
})
export type PutPublisher = v.InferOutput<typeof PutPublisher>

export const VerifyPublisher = v.strictObject({ domain: Domain })
export type VerifyPublisher = v.InferOutput<typeof VerifyPublisher>

export const Verification = v.object({
  txtRecord: v.object({ type: v.literal('TXT'), name: v.string(), value: v.string() }),
  verifiedAt: v.nullable(v.string()),
  version: v.number(),
})
export type Verification = v.InferOutput<typeof Verification>
