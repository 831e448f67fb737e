import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import { mergePatch } from '../platform/merge-patch.ts'
import { Problem } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import type { StoredWorkspaceSettings } from './repository.ts'
import * as repository from './repository.ts'
import {
  DEFAULT_SETTINGS,
  type PatchWorkspaceSettings,
  type Source,
  WORKSPACE_SETTINGS,
  type WorkspaceSettings,
} from './schema.ts'

/** A workspace as routes name it: found from the path before the handler runs. */
type In = { workspaceId: string }

/** Whether somebody has set a member: an object of which every part was taken back says nothing. */
const isSet = (value: unknown): boolean =>
  value !== undefined &&
  (typeof value !== 'object' || value === null || Object.keys(value).length > 0)

const shown = (stored: StoredWorkspaceSettings): WorkspaceSettings => {
  const { settings, organizationSettings, version } = stored
  const merged = mergePatch(mergePatch(DEFAULT_SETTINGS, organizationSettings), settings)
  const sourceOf = (name: string): Source =>
    isSet(settings[name])
      ? 'workspace'
      : isSet(organizationSettings[name])
        ? 'organization'
        : 'default'
  const { timezone, locale, dateFormat, timeFormat, notifications } =
    merged as typeof DEFAULT_SETTINGS
  const sources = Object.fromEntries(WORKSPACE_SETTINGS.map((name) => [name, sourceOf(name)]))
  return {
    ...{ timezone, locale, dateFormat, timeFormat, notifications },
    sources: sources as WorkspaceSettings['sources'],
    version,
  }
}

const requireSettings = async (tx: Queryable, organizationId: string, workspaceId: string) => {
  const stored = await repository.findWorkspaceSettings(tx, organizationId, workspaceId)
  if (!stored) throw new Problem('not-found', 'workspace-not-found', 'There is no such workspace.')
  return stored
}

/** What counts in a workspace: its own settings over the organization's over the defaults. @throws Problem 404 */
export const getWorkspaceSettings = (context: Context, { workspaceId }: In) =>
  inOrganization(context, async (tx, organizationId) =>
    shown(await requireSettings(tx, organizationId, workspaceId)),
  )

/** Changes the settings that are named, at any depth; null goes back to the organization's. @throws Problem 404, 412 */
export const patchWorkspaceSettings = (
  context: Context,
  { workspaceId }: In,
  patch: PatchWorkspaceSettings,
): Promise<WorkspaceSettings> =>
  changeOrganization(context, async (tx, organizationId) => {
    const stored = await requireSettings(tx, organizationId, workspaceId)
    refuseStale(context, stored.version)
    const merged = Object.entries(mergePatch(stored.settings, patch) as object)
    const settings = Object.fromEntries(merged.filter(([, value]) => isSet(value)))
    const before = shown(stored)
    if (JSON.stringify(settings) === JSON.stringify(stored.settings)) return before
    const next = { organizationId, workspaceId, settings }
    const { version } = await repository.updateWorkspaceSettings(tx, next)
    const after = shown({ ...stored, settings, version })
    await recordChange(tx, context, {
      event: 'workspace-settings.updated',
      resource: `workspace-settings:${workspaceId}`,
      workspaceId,
      before,
      after,
    })
    return after
  })
