import * as v from 'valibot'
import { Reference, textUpTo } from '../permissions/schema.ts'
import { idOf } from '../platform/id.ts'
import { Page } from '../platform/page.ts'

const VersionText = v.pipe(v.string(), v.nonEmpty('must not be empty'), v.maxLength(128))

/** When a new version comes: nothing, a notice, or the update itself where it is small enough. */
export const UPDATE_POLICIES = ['pin', 'notify', 'patch', 'minor'] as const
const UpdatePolicy = v.picklist(UPDATE_POLICIES)

/** A value of an input: text, number, boolean, or the id of a connection, never a secret. */
const InputValue = v.union([textUpTo(4000), v.pipe(v.number(), v.finite()), v.boolean()])
const InputValues = v.pipe(
  v.record(v.pipe(v.string(), v.maxLength(128)), InputValue),
  v.check((values) => Object.keys(values).length <= 200, 'must have at most 200 members'),
)
const Consent = v.pipe(v.string(), v.maxLength(64))

/** What an organization asks of what is installed in it. */
export const InstallationPolicy = v.object({
  verifiedOnly: v.boolean(),
  /** SPDX ids; null for any. */
  licenses: v.nullable(v.array(v.string())),
  minimumAgeDays: v.number(),
  /** Capabilities that nothing installed may have; `host:*` and `integration:slack` alike. */
  capabilitiesDenied: v.array(v.string()),
  /** Whether somebody other than the installer has to approve. */
  approval: v.boolean(),
  onAdvisory: v.picklist(['warn', 'quarantine']),
})
export type InstallationPolicy = v.InferOutput<typeof InstallationPolicy>
export const DEFAULT_POLICY: InstallationPolicy = {
  verifiedOnly: false,
  licenses: null,
  minimumAgeDays: 0,
  capabilitiesDenied: [],
  approval: false,
  onAdvisory: 'warn',
}
export const PutPolicy = v.strictObject({
  verifiedOnly: v.optional(v.boolean(), false),
  licenses: v.optional(
    v.nullable(v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.maxLength(100))),
    null,
  ),
  minimumAgeDays: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(365)), 0),
  capabilitiesDenied: v.optional(
    v.pipe(v.array(v.pipe(v.string(), v.maxLength(256))), v.maxLength(100)),
    [],
  ),
  approval: v.optional(v.boolean(), false),
  onAdvisory: v.optional(v.picklist(['warn', 'quarantine']), 'warn'),
})
export type PutPolicy = v.InferOutput<typeof PutPolicy>

export const Installation = v.object({
  id: v.string(),
  template: v.object({ id: v.string(), name: v.string() }),
  version: v.string(),
  workspace: v.nullable(v.string()),
  scenario: v.nullable(v.string()),
  inputs: v.record(v.string(), v.unknown()),
  updatePolicy: UpdatePolicy,
  capabilities: v.array(v.string()),
  consentedBy: v.string(),
  consentedAt: v.string(),
  status: v.picklist(['pending', 'active', 'refused', 'removed']),
  decidedBy: v.nullable(v.string()),
  quarantine: v.nullable(v.object({ at: v.string(), reason: v.string(), by: v.string() })),
  /** The newest published version, where it is another. */
  updateAvailable: v.nullable(v.string()),
  installedAt: v.string(),
  updatedAt: v.string(),
  rowVersion: v.number(),
})
export type Installation = v.InferOutput<typeof Installation>

export const OneInstallation = v.object({ installation: idOf('ins') })
export const CreateInstallation = v.strictObject({
  template: idOf('tpl'),
  version: v.optional(VersionText, 'latest'),
  workspace: v.optional(Reference),
  inputs: v.optional(InputValues, {}),
  updatePolicy: v.optional(UpdatePolicy, 'notify'),
  /** What was shown as `consent` beside the capabilities. */
  consent: v.optional(Consent),
})
export type CreateInstallation = v.InferOutput<typeof CreateInstallation>

export const ListInstallations = v.strictObject({
  workspace: v.optional(Reference),
  template: v.optional(idOf('tpl')),
  status: v.optional(v.picklist(['pending', 'active', 'refused', 'removed'])),
  updates: v.optional(v.literal('available')),
  ...Page,
})
export type ListInstallations = v.InferOutput<typeof ListInstallations>

export const PatchInstallation = v.strictObject({ updatePolicy: UpdatePolicy })
export type PatchInstallation = v.InferOutput<typeof PatchInstallation>
export const DeleteInstallation = v.strictObject({
  keepScenario: v.optional(
    v.pipe(
      v.picklist(['true', 'false']),
      v.transform((text) => text === 'true'),
    ),
    'false',
  ),
})
export type DeleteInstallation = v.InferOutput<typeof DeleteInstallation>

const ConflictShown = v.object({
  path: v.string(),
  base: v.unknown(),
  theirs: v.unknown(),
  ours: v.unknown(),
})
/** What an update would do. */
export const UpdatePreview = v.object({
  from: v.string(),
  to: v.string(),
  merged: v.record(v.string(), v.unknown()),
  conflicts: v.array(ConflictShown),
  capabilities: v.object({ added: v.array(v.string()), removed: v.array(v.string()) }),
  inputs: v.object({ added: v.array(v.string()), removed: v.array(v.string()) }),
  consent: v.nullable(v.string()),
  changelog: v.string(),
})
export type UpdatePreview = v.InferOutput<typeof UpdatePreview>
export const AskUpdate = v.strictObject({ to: v.optional(VersionText, 'latest') })

export const UpdateInstallation = v.strictObject({
  to: v.optional(VersionText, 'latest'),
  /** Values that are new or other than before. */
  inputs: v.optional(InputValues, {}),
  resolutions: v.optional(
    v.pipe(
      v.array(
        v.strictObject({
          path: v.pipe(v.string(), v.maxLength(2000)),
          take: v.picklist(['theirs', 'ours']),
        }),
      ),
      v.maxLength(2000),
    ),
    [],
  ),
  consent: v.optional(Consent),
})
export type UpdateInstallation = v.InferOutput<typeof UpdateInstallation>
export const Rollback = v.strictObject({
  /** A step of its history; the last one where none is named. */
  step: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
})
export type Rollback = v.InferOutput<typeof Rollback>
const Reason = v.pipe(textUpTo(280), v.nonEmpty('must not be empty'))
export const Release = v.strictObject({ reason: Reason })
export type Release = v.InferOutput<typeof Release>

export const Advisory = v.object({
  id: v.string(),
  template: v.string(),
  affectedRange: v.string(),
  severity: v.picklist(['low', 'medium', 'high', 'critical']),
  summary: v.string(),
  fixedIn: v.nullable(v.string()),
  publishedAt: v.string(),
  withdrawnAt: v.nullable(v.string()),
})
export type Advisory = v.InferOutput<typeof Advisory>
export const AdvisedTemplate = v.object({ template: idOf('tpl') })
export const OneAdvisory = v.object({ template: idOf('tpl'), advisory: idOf('adv') })
export const CreateAdvisory = v.strictObject({
  affectedRange: VersionText,
  severity: Advisory.entries.severity,
  summary: v.pipe(textUpTo(2000), v.nonEmpty('must not be empty')),
  fixedIn: v.optional(v.nullable(VersionText), null),
})
export type CreateAdvisory = v.InferOutput<typeof CreateAdvisory>
export const ListAdvisories = v.strictObject({ ...Page })
export type ListAdvisories = v.InferOutput<typeof ListAdvisories>

const Day = v.pipe(
  v.string(),
  v.regex(/^\d{4}-\d{2}-\d{2}$/, 'must be a day like 2026-01-31'),
  v.check((text) => !Number.isNaN(Date.parse(text)), 'must be a day like 2026-01-31'),
)
const Bucket = v.picklist(['day', 'week', 'month'])

export const AskAnalytics = v.strictObject({
  from: v.optional(Day),
  to: v.optional(Day),
  bucket: v.optional(Bucket, 'day'),
})
export type AskAnalytics = v.InferOutput<typeof AskAnalytics>

export const Revenue = v.object({
  currency: v.string(),
  orders: v.number(),
  amountMinor: v.number(),
})
export type Revenue = v.InferOutput<typeof Revenue>

/** One bucket; those in which nothing happened are left out. */
export const AnalyticsPoint = v.object({
  at: v.string(),
  views: v.number(),
  downloads: v.number(),
  installs: v.number(),
  updates: v.number(),
  removals: v.number(),
  ratings: v.number(),
  averageStars: v.nullable(v.number()),
  revenue: v.array(Revenue),
})
export type AnalyticsPoint = v.InferOutput<typeof AnalyticsPoint>
export const Analytics = v.object({
  from: v.string(),
  to: v.string(),
  bucket: Bucket,
  points: v.array(AnalyticsPoint),
})
export type Analytics = v.InferOutput<typeof Analytics>
