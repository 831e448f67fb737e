import type { Context as HonoContext, MiddlewareHandler } from 'hono'
import { networkOf } from '../address-range.ts'
import type { Context } from '../context.ts'
import { mac } from '../crypto/mac.ts'
import { countAttempt } from '../db/rate-limits.ts'
import { inPlatform } from '../db/transaction.ts'
import { Problem } from '../problem.ts'
import { documented } from './permit.ts'
import type { Env } from './router.ts'

/** How often something may be tried. */
export type RateLimit = {
  /** Attempts in one window, which the first of them opens. */
  quota: number
  windowSeconds: number
  /** Whose attempts are counted together; undefined where that cannot be known: then one for all of them. */
  of: (c: HonoContext<Env>) => string | undefined
  /** Attempts of all together of whom nothing is known. Default: the quota. */
  quotaOfUnknown?: number
}

/** Quotas that count instead of those in the source, by the name of the limit. */
export type Quotas = { readonly [name: string]: number }

/** Whoever calls. */
export const perSubject = (c: HonoContext<Env>) => c.var.context.actor.subject

/** The organization of the path. */
export const perOrganization = (c: HonoContext<Env>) => c.var.context.organizationId

/** The network of the caller, if the address is known. */
export const perNetwork = (c: HonoContext<Env>) => networkOf(c.var.context.address?.() ?? '')

/**
 * One thing of the organization or the workspace of the path: what is tried in a workspace, by whom may know nothing beyond
 * it, neither uses up nor tells what the organization has tried with the same thing.
 * @param name the parameter of the path that names it
 */
export const perParameter = (name: string) => (c: HonoContext<Env>) =>
  JSON.stringify([c.var.context.organizationId, c.get('workspaceId') ?? null, c.req.param(name)])

/**
 * Refuses what is tried too often, counted for all nodes together, whatever becomes of the attempt. Runs after `permit`, so
 * that nobody uses up what is others', and after `validate`, so that a slip of the pen costs nothing. Every answer tells how
 * much is left (draft-ietf-httpapi-ratelimit-headers). Where it cannot be counted, nothing is let through.
 * @throws Problem 429 with `Retry-After`
 */
export const limited = (name: string, limit: RateLimit): MiddlewareHandler<Env> => {
  const middleware: MiddlewareHandler<Env> = async (c, next) => {
    const told = await attempt(c, name, limit)
    await next()
    for (const [header, value] of Object.entries(told)) c.header(header, value, { append: true })
  }
  const response = { $ref: '#/components/responses/RateLimited' }
  return documented(middleware, { responses: { 429: response } })
}

/** Counts one attempt and answers the headers that tell of it. */
const attempt = async (c: HonoContext<Env>, name: string, limit: RateLimit) => {
  const { context } = c.var
  const whose = limit.of(c)
  const ofOne = c.get('quotas')?.[name] ?? limit.quota
  const quota = whose === undefined ? (limit.quotaOfUnknown ?? ofOne) : ofOne
  const { windowSeconds } = limit
  const key = await keyOf(context, name, whose)
  const { used, secondsLeft } = await inPlatform(context.sql, (tx) =>
    countAttempt(tx, { key, quota, windowSeconds }),
  )
  const headers = {
    'ratelimit-policy': `"${name}";q=${quota};w=${windowSeconds}`,
    ratelimit: `"${name}";r=${Math.max(0, quota - used)};t=${secondsLeft}`,
  }
  if (used <= quota) return headers
  throw new Problem(
    'limited',
    'rate-limited',
    `This was tried too often: ${quota} times in ${windowSeconds} seconds are let through. Try again in ${secondsLeft} seconds.`,
    { retryAfterSeconds: secondsLeft, headers },
  )
}

/** Keyed, because there are so few addresses that a mere hash of one is as good as the address. */
const keyOf = ({ auditKey }: Context, name: string, whose: string | undefined) =>
  mac(auditKey, new TextEncoder().encode(JSON.stringify(['rate-limit', name, whose ?? null])))
