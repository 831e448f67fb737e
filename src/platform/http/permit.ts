import type { Context as HonoContext, MiddlewareHandler } from 'hono'
import { describeRoute, resolver } from 'hono-openapi'
import type { GenericSchema } from 'valibot'
import type { Context, Place } from '../context.ts'
import { organizationClosed, Problem } from '../problem.ts'
import type { Env } from './router.ts'

/** Where a route asks its permission. */
type Where = 'organization' | 'workspace' | 'platform'

const workspaceOf = (c: HonoContext<Env>): string | null => c.get('workspaceId') ?? null

/**
 * Names the permission a route needs: in the organization of its path, in the workspace of its path if there is one, or
 * on the platform. 403 names what is missing. The permission stands in the OpenAPI document too. Where PUT creates and
 * edits, either permission opens the door and the service asks for the one that is needed.
 */
export const permit = (
  permission: string | readonly [creating: string, editing: string],
  where: Where = 'organization',
): MiddlewareHandler<Env> => {
  const either = typeof permission === 'string' ? [permission] : permission
  const middleware: MiddlewareHandler<Env> = async (c, next) => {
    const { context } = c.var
    const place = {
      organizationId: where === 'platform' ? null : context.organizationId,
      workspaceId: where === 'platform' ? null : workspaceOf(c),
    }
    if (!(await holdsEither(context, either, place))) throw await refusalOf(context, either, place)
    await next()
  }
  return documented(middleware, {
    'x-permission': either.join(' or '),
    'x-permission-asked-at': where,
  })
}

const refusalOf = async (context: Context, either: readonly string[], place: Place) => {
  const permission = either[0]!
  const { organizationId } = place
  if (organizationId !== null && (await context.access.isClosed(context, organizationId)))
    return organizationClosed(permission)
  const detail = `This needs the permission ${either.join(' or ')}.`
  return new Problem('forbidden', 'forbidden', detail, { permission })
}

const holdsEither = async (context: Context, permissions: readonly string[], place: Place) => {
  for (const permission of permissions)
    if (await context.access.permits(context, permission, place)) return true
  return false
}

/**
 * Names the permission a route needs on the one resource its path names: whoever may not even read that is told that there is
 * none, others what they are missing.
 * @param param the path's parameter that holds the resource's id
 */
export const permitOn = (
  type: string,
  param: string,
  permission: string,
): MiddlewareHandler<Env> => {
  const middleware: MiddlewareHandler<Env> = async (c, next) => {
    const { context } = c.var
    const resource = { type, id: c.req.param(param) ?? '' }
    const place = { organizationId: context.organizationId, workspaceId: workspaceOf(c), resource }
    if (!(await context.access.permits(context, permission, place)))
      throw (await context.access.permits(context, `${type}:read`, place))
        ? await refusalOf(context, [permission], place)
        : new Problem('not-found', `${type}-not-found`, `There is no such ${type}.`)
    await next()
  }
  return documented(middleware, { 'x-permission': permission, 'x-permission-asked-at': type })
}

/** A route that needs no permission, with the reason: it concerns the caller only, or a token says enough. */
export const permitEveryone = (reason: string): MiddlewareHandler<Env> =>
  documented<MiddlewareHandler<Env>>(async (_c, next) => next(), { 'x-no-permission': reason })

/** A handler with its part of the OpenAPI document, without a middleware of its own. */
export const documented = <Handler extends object>(handler: Handler, members: object): Handler =>
  Object.assign(handler, describeRouteMembers(members))

/** The properties by which hono-openapi finds a middleware's part of the document. */
const describeRouteMembers = (spec: object) => {
  const described = describeRoute(spec as never)
  return Object.fromEntries(
    Object.getOwnPropertySymbols(described).map((symbol) => [
      symbol,
      (described as unknown as Record<symbol, unknown>)[symbol],
    ]),
  )
}

/** Documents what a route answers and what it does. */
export const answers = (
  status: number,
  schema: GenericSchema | null,
  summary: string,
): MiddlewareHandler =>
  describeRoute({
    summary,
    responses: {
      [status]: schema
        ? { description: 'Done', content: { 'application/json': { schema: resolver(schema) } } }
        : { description: 'Done' },
      default: { $ref: '#/components/responses/Problem' },
    },
  })
