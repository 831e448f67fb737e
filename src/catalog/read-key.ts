import type { MiddlewareHandler } from 'hono'
import { getApiKey } from '../api-keys/service.ts'
import type { Context } from '../platform/context.ts'
import type { Env } from '../platform/http/router.ts'
import { pathNotFound } from '../platform/problem.ts'

const PERMISSION = 'template:read'

/** Whether a key may stand in a path: it reads the catalog for its organization, and is good for nothing else. */
const isReadKey = async (context: Context): Promise<boolean> => {
  const { actor, organizationId } = context
  if (actor.apiKeyId === null || actor.subject !== `key:${actor.apiKeyId}`) return false
  const { roles, permissions, member } = await getApiKey(context, { id: actor.apiKeyId })
  const isOnly = roles.length === 0 && permissions.length === 1 && permissions[0] === PERMISSION
  return (
    isOnly && member === null && context.access.permits(context, PERMISSION, { organizationId })
  )
}

/**
 * Lets in keys only that hold `template:read` and nothing else: paths stand in logs and histories, so that nobody shall put a
 * stronger one there. To others nothing is there at all.
 */
export const requireReadKey: MiddlewareHandler<Env> = async (c, next) => {
  if (!(await isReadKey(c.var.context))) throw pathNotFound()
  await next()
}

/** The browser of whoever runs n8n asks, from wherever that is served. Said of refusals, too. */
export const fromAnywhere: MiddlewareHandler = async (c, next) => {
  const headers = { 'access-control-allow-origin': '*', 'referrer-policy': 'no-referrer' }
  if (c.req.method === 'OPTIONS')
    return c.body(null, 204, {
      ...headers,
      'access-control-allow-methods': 'GET',
      'access-control-allow-headers': c.req.header('access-control-request-headers') ?? '',
      'access-control-max-age': '86400',
    })
  await next()
  for (const [name, value] of Object.entries(headers)) c.header(name, value)
}
