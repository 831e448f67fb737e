import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { etag } from '../platform/version.ts'
import {
  PatchSecurity,
  PatchSettings,
  PatchWorkspaceSettings,
  SecuritySettings,
  Settings,
  WorkspaceSettings,
} from './schema.ts'
import { getSecurity, getSettings, patchSecurity, patchSettings } from './service.ts'
import { getWorkspaceSettings, patchWorkspaceSettings } from './workspace.ts'

/** Mounted at /v1/organizations/:organization/settings. */
export const settingsRoutes = router()
  .get('/', permit('org:read'), answers(200, Settings, 'Read the settings'), async (c) => {
    const settings = await getSettings(c.var.context)
    return c.json(settings, 200, etag(settings))
  })
  .patch(
    '/',
    permit('org:settings:update'),
    answers(200, Settings, 'Change settings; null goes back to the default'),
    validate('json', PatchSettings),
    async (c) => {
      const settings = await patchSettings(c.var.context, c.req.valid('json'))
      return c.json(settings, 200, etag(settings))
    },
  )

/** Mounted at /v1/organizations/:organization/security. */
export const securityRoutes = router()
  .get(
    '/',
    permit('org:read'),
    answers(200, SecuritySettings, 'Read what is asked of callers'),
    async (c) => {
      const security = await getSecurity(c.var.context)
      return c.json(security, 200, etag(security))
    },
  )
  .patch(
    '/',
    permit('org:security:update'),
    answers(200, SecuritySettings, 'Change what is asked of callers: address, second factor, age'),
    validate('json', PatchSecurity),
    async (c) => {
      const security = await patchSecurity(c.var.context, c.req.valid('json'))
      return c.json(security, 200, etag(security))
    },
  )

/** Mounted at /v1/organizations/:organization/workspaces/:workspace/settings. */
export const workspaceSettingsRoutes = router()
  .get(
    '/',
    permit('workspace:read'),
    answers(200, WorkspaceSettings, 'Read the settings that count in a workspace'),
    async (c) => {
      const settings = await getWorkspaceSettings(c.var.context, c.var)
      return c.json(settings, 200, etag(settings))
    },
  )
  .patch(
    '/',
    permit('workspace:update'),
    answers(200, WorkspaceSettings, "Change settings; null goes back to the organization's"),
    validate('json', PatchWorkspaceSettings),
    async (c) => {
      const settings = await patchWorkspaceSettings(c.var.context, c.var, c.req.valid('json'))
      return c.json(settings, 200, etag(settings))
    },
  )
