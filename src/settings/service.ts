import { recordChange } from '../audit/service.ts'
import type { StoredSecurity } from '../decisions/schema.ts'
import { keptOutBy, securityOf } from '../decisions/service.ts'
import type { Context } from '../platform/context.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import type { Violations } from '../platform/db/violation.ts'
import type { Branding } from '../platform/mail/mail.ts'
import { mergePatch } from '../platform/merge-patch.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import type { StoredSettings } from './repository.ts'
import * as repository from './repository.ts'
import {
  DEFAULT_SECURITY,
  DEFAULT_SETTINGS,
  type PatchSecurity,
  type PatchSettings,
  type SecuritySettings,
  type Settings,
} from './schema.ts'

/** What the database refuses about settings. */
export const settingsViolations: Violations = {
  organizations_settings_form: ['unprocessable', 'settings-too-large', 'These are too many bytes.'],
  organizations_security_form: ['unprocessable', 'settings-too-large', 'These are too many bytes.'],
  workspaces_settings_form: ['unprocessable', 'settings-too-large', 'These are too many bytes.'],
}

const shown = ({ settings, logo, version }: StoredSettings): Settings => {
  const own = mergePatch(settings, { branding: logo === null ? {} : { logo } })
  return { ...(mergePatch(DEFAULT_SETTINGS, own) as typeof DEFAULT_SETTINGS), version }
}

const securityShown = ({ security, version }: StoredSettings): SecuritySettings => ({
  ...(mergePatch(DEFAULT_SECURITY, security) as typeof DEFAULT_SECURITY),
  version,
})

const read = (context: Context) =>
  inOrganization(context, async (tx, organizationId) => {
    const stored = await repository.findSettings(tx, organizationId)
    if (!stored)
      throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
    return stored
  })

/** Settings: what an organization has chosen, over the defaults. */
export const getSettings = async (context: Context) => shown(await read(context))

/** What the organization asks of whoever reaches it. */
export const getSecurity = async (context: Context) => securityShown(await read(context))

/** How the organization's letters look. */
export const getBranding = async (context: Context): Promise<Branding> => {
  const stored = await read(context)
  const { name, primaryColor } = shown(stored).branding
  return { name: name ?? stored.name, primaryColor }
}

const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)

/** Changes the settings that are named, at any depth; null goes back to the default. */
export const patchSettings = (context: Context, patch: PatchSettings): Promise<Settings> =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = (await repository.findSettings(tx, organizationId))!
    refuseStale(context, before.version)
    const { branding, ...others } = patch
    const { logo = before.logo, ...drawn } = branding ?? (branding === null ? { logo: null } : {})
    const settings = mergePatch(before.settings, {
      ...others,
      ...(branding === undefined ? {} : { branding: branding === null ? null : drawn }),
    }) as Record<string, unknown>
    if (isSame([settings, logo], [before.settings, before.logo])) return shown(before)
    const after = shown(await repository.updateSettings(tx, organizationId, { settings, logo }))
    await recordChange(tx, context, {
      event: 'settings.updated',
      resource: `settings:${organizationId}`,
      before: shown(before),
      after,
    })
    return after
  })

/** Changes what the organization asks of its callers. Whoever would keep themselves out has to say so twice. */
export const patchSecurity = async (
  context: Context,
  { confirmLockout, ...patch }: PatchSecurity,
): Promise<SecuritySettings> => {
  const isOperator = await context.access.permits(context, 'org:security:update', {
    organizationId: null,
  })
  return changeOrganization(context, async (tx, organizationId) => {
    const before = (await repository.findSettings(tx, organizationId))!
    refuseStale(context, before.version)
    const security = mergePatch(before.security, patch) as StoredSecurity
    if (isSame(security, before.security)) return securityShown(before)
    if (!confirmLockout && !isOperator) refuseLockout(context, security)
    const after = securityShown(await repository.updateSecurity(tx, organizationId, security))
    await recordChange(tx, context, {
      event: 'security.updated',
      resource: `security:${organizationId}`,
      before: securityShown(before),
      after,
    })
    return after
  })
}

/** The settings are tried on the caller first: on the very address and session that asks for them. */
const refuseLockout = (context: Context, security: StoredSecurity) => {
  const keptOut = keptOutBy(securityOf(security), context, context.now().getTime())
  if (!keptOut) return
  const { setting } = keptOut.extras
  throw new Problem(
    'conflict',
    'would-lock-out',
    `This would keep you out yourself: ${keptOut.detail} Send confirmLockout: true if that is meant.`,
    { setting, errors: [{ pointer: `/${setting}`, detail: 'keeps out who asks for it' }] },
  )
}
