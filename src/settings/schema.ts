import * as v from 'valibot'
import { SESSION_TIMEOUT_SECONDS } from '../decisions/schema.ts'
import { Name, textUpTo } from '../permissions/schema.ts'
import { parseRange } from '../platform/address-range.ts'

const DATE_FORMATS = ['MM/DD/YYYY', 'DD/MM/YYYY', 'DD.MM.YYYY', 'YYYY-MM-DD', 'YYYY/MM/DD'] as const
const TIME_FORMATS = ['12h', '24h'] as const

export const Settings = v.object({
  timezone: v.string(),
  locale: v.string(),
  dateFormat: v.picklist(DATE_FORMATS),
  timeFormat: v.picklist(TIME_FORMATS),
  notifications: v.object({ email: v.boolean(), slack: v.boolean(), webhook: v.boolean() }),
  integrations: v.object({ allowCustom: v.boolean(), requireApproval: v.boolean() }),
  /** `name` is what letters say, the organization's own where it is null; `logo` is the organization's. */
  branding: v.object({
    name: v.nullable(v.string()),
    primaryColor: v.string(),
    logo: v.nullable(v.string()),
  }),
  version: v.number(),
})
export type Settings = v.InferOutput<typeof Settings>

/** What counts where an organization has set nothing. */
export const DEFAULT_SETTINGS: Omit<Settings, 'version'> = {
  timezone: 'UTC',
  locale: 'en-US',
  dateFormat: 'MM/DD/YYYY',
  timeFormat: '12h',
  notifications: { email: true, slack: false, webhook: false },
  integrations: { allowCustom: false, requireApproval: true },
  branding: { name: null, primaryColor: '#3B82F6', logo: null },
}

/** A member of a merge patch (RFC 7396): null goes back to the default. */
const change = <Schema extends v.GenericSchema>(schema: Schema) => v.optional(v.nullable(schema))

const succeeds = (work: () => unknown): boolean => {
  try {
    return Boolean(work())
  } catch {
    return false
  }
}

/** A name of the time zone database; an offset such as `+01:00` knows no summer time. */
const Timezone = v.pipe(
  v.string(),
  v.maxLength(64),
  v.regex(/^[A-Za-z]/, 'must be the name of a time zone'),
  v.check(
    (timeZone) => succeeds(() => new Intl.DateTimeFormat('en', { timeZone })),
    'must be the name of a time zone',
  ),
)
const Locale = v.pipe(
  v.string(),
  v.maxLength(64),
  v.check(
    (locale) => succeeds(() => Intl.DateTimeFormat.supportedLocalesOf(locale).length > 0),
    'must be the tag of a language that is known (BCP 47)',
  ),
  v.transform((locale) => Intl.getCanonicalLocales(locale)[0]!),
)

export const PatchSettings = v.strictObject({
  timezone: change(Timezone),
  locale: change(Locale),
  dateFormat: change(v.picklist(DATE_FORMATS, `must be one of ${DATE_FORMATS.join(', ')}`)),
  timeFormat: change(v.picklist(TIME_FORMATS, `must be one of ${TIME_FORMATS.join(', ')}`)),
  notifications: change(
    v.strictObject({
      email: change(v.boolean()),
      slack: change(v.boolean()),
      webhook: change(v.boolean()),
    }),
  ),
  integrations: change(
    v.strictObject({ allowCustom: change(v.boolean()), requireApproval: change(v.boolean()) }),
  ),
  branding: change(
    v.strictObject({
      name: change(Name),
      primaryColor: change(
        v.pipe(v.string(), v.regex(/^#[0-9a-f]{6}$/i, 'must be a color such as #3B82F6')),
      ),
      logo: change(v.pipe(textUpTo(2000), v.regex(/^https:\/\//, 'must be an https address'))),
    }),
  ),
})
export type PatchSettings = v.InferOutput<typeof PatchSettings>

/** What a workspace can set over its organization; the rest is the organization's alone. */
export const WORKSPACE_SETTINGS = [
  'timezone',
  'locale',
  'dateFormat',
  'timeFormat',
  'notifications',
] as const

/** Who has set what is shown; of notifications the workspace, if it has set any of them. */
const Source = v.picklist(['workspace', 'organization', 'default'])
export type Source = v.InferOutput<typeof Source>

/** The settings that count in a workspace, with where each comes from. The version is the workspace's. */
export const WorkspaceSettings = v.object({
  ...v.pick(Settings, WORKSPACE_SETTINGS).entries,
  sources: v.object({
    timezone: Source,
    locale: Source,
    dateFormat: Source,
    timeFormat: Source,
    notifications: Source,
  }),
  version: v.number(),
})
export type WorkspaceSettings = v.InferOutput<typeof WorkspaceSettings>

export const PatchWorkspaceSettings = v.pick(PatchSettings, WORKSPACE_SETTINGS)
export type PatchWorkspaceSettings = v.InferOutput<typeof PatchWorkspaceSettings>

export const SecuritySettings = v.object({
  requireMfa: v.boolean(),
  sessionTimeoutSeconds: v.number(),
  ipAllowList: v.array(v.string()),
  version: v.number(),
})
export type SecuritySettings = v.InferOutput<typeof SecuritySettings>

export const DEFAULT_SECURITY: Omit<SecuritySettings, 'version'> = {
  requireMfa: false,
  sessionTimeoutSeconds: SESSION_TIMEOUT_SECONDS,
  ipAllowList: [],
}

const RANGES_MAX = 100
const SESSION_SECONDS_MIN = 300
const SESSION_SECONDS_MAX = 2_592_000

const Range = v.pipe(
  v.string(),
  v.trim(),
  v.toLowerCase(),
  v.check(
    (text) => parseRange(text) !== undefined,
    'must be an IP address or a range such as 203.0.113.0/24 or 2001:db8::/32, with zeros after its length',
  ),
)

export const PatchSecurity = v.strictObject({
  requireMfa: change(v.boolean()),
  sessionTimeoutSeconds: change(
    v.pipe(
      v.number(),
      v.integer('must be a whole number'),
      v.minValue(SESSION_SECONDS_MIN, `must be at least ${SESSION_SECONDS_MIN}`),
      v.maxValue(SESSION_SECONDS_MAX, `must be at most ${SESSION_SECONDS_MAX}`),
    ),
  ),
  ipAllowList: change(
    v.pipe(
      v.array(Range),
      v.maxLength(RANGES_MAX, `must list at most ${RANGES_MAX} ranges`),
      v.transform((ranges) => [...new Set(ranges)]),
    ),
  ),
  confirmLockout: v.optional(v.boolean(), false),
})
export type PatchSecurity = v.InferOutput<typeof PatchSecurity>
