import type { Context as HonoContext, MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import type { Caches } from '../cache/tiered-cache.ts'
import type { Access, Actor, Context, Outgoing } from '../context.ts'
import { sha256 } from '../crypto/hash.ts'
import type { MacKey } from '../crypto/mac.ts'
import type { SealKey } from '../crypto/seal.ts'
import type { Sql } from '../db/connect.ts'
import type { Log } from '../log.ts'
import { Problem, pathNotFound } from '../problem.ts'
import { headerOf } from './headers.ts'
import type { Quotas } from './rate-limit.ts'
import { requestIdOf } from './request-id.ts'
import type { Env } from './router.ts'
import { readBody } from './validate.ts'

/** What the door of the server needs; `app.ts` passes it in. */
export type GateOptions = {
  /** The pool; on Workers that of the request. */
  sql: (c: HonoContext) => Sql
  access: Access
  outgoing: Outgoing
  caches: Caches
  auditKey: MacKey
  sealKey: SealKey
  log: Log
  now: () => Date
  /** The same clock in milliseconds since the epoch. */
  nowMs: () => number
  /** Where the caller is, if that can be known. */
  addressOf: (c: HonoContext) => string | undefined
  /** Where a runtime ends with a request what it has begun: what keeps that alive. */
  waitUntil?: ((c: HonoContext) => (promise: Promise<unknown>) => void) | undefined
  /** Quotas of rate limits that count instead of those in the source. */
  quotas?: Quotas | undefined
  /** Who a token is, or undefined. */
  identify: (sql: Sql, token: string, nowMs: number) => Actor | Promise<Actor | undefined>
  /** The id behind an organization's id or slug. */
  organizationId: (context: Context, reference: string) => Promise<string | undefined>
}

export type Gate = ReturnType<typeof createGate>

const unauthenticated = (detail: string) =>
  new Problem('unauthenticated', 'unauthenticated', detail)

const NOBODY: Actor = {
  subject: 'anonymous',
  apiKeyId: null,
  organizationId: null,
  restrictedTo: null,
}

/** The token of `Authorization: Bearer …` (RFC 6750) or `X-API-Key`. */
const tokenOf = (c: HonoContext): string => {
  const authorization = headerOf(c, 'authorization')
  const token =
    authorization !== null
      ? /^Bearer +([!-~]+)$/i.exec(authorization)?.[1]
      : (headerOf(c, 'x-api-key') ?? undefined)
  if (!token || token.length > 8192)
    throw unauthenticated('Send an API key or a token as Authorization: Bearer ….')
  return token
}

/** Everything before a handler: request id, caller, organization, workspace. */
export const createGate = (options: GateOptions) => {
  /**
   * The context of a request whose caller is known; without a promise where the caller is remembered.
   * @throws Problem 401
   */
  const open = (c: HonoContext): Context | Promise<Context> => {
    const requestId: string =
      c.get('requestId') ?? requestIdOf(headerOf(c, 'x-request-id') ?? undefined)
    c.set('requestId', requestId)
    const sql = options.sql(c)
    const found = options.identify(sql, tokenOf(c), options.nowMs())
    if (found instanceof Promise) return found.then((actor) => contextOf(c, sql, requestId, actor))
    return contextOf(c, sql, requestId, found)
  }

  const contextOf = (
    c: HonoContext,
    sql: Sql,
    requestId: string,
    actor: Actor | undefined,
  ): Context => {
    if (!actor) throw unauthenticated('The API key or token is not valid.')
    return {
      sql,
      log: options.log,
      access: options.access,
      outgoing: options.outgoing,
      caches: options.caches,
      auditKey: options.auditKey,
      sealKey: options.sealKey,
      actor,
      organizationId: '',
      requestId,
      now: options.now,
      address: () => options.addressOf(c),
      waitUntil: options.waitUntil?.(c),
      ifMatch: undefined,
      idempotency: undefined,
      revision: undefined,
    }
  }

  /** Marks every answer with the request's id, and a change's with its revision. */
  const authenticate: MiddlewareHandler<Env> = async (c, next) => {
    const context = await open(c)
    c.set('context', {
      ...context,
      ifMatch: ifMatchOf(c.req.header('if-match')),
      idempotency: await idempotencyOf(c),
    })
    c.set('quotas', options.quotas)
    await next()
    c.header('x-request-id', context.requestId)
    const { revision } = c.var.context
    if (revision !== undefined) c.header('latchkey-revision', revision)
  }

  /** For the few routes that need no caller: what they do is done by nobody in particular. */
  const anonymous: MiddlewareHandler<Env> = async (c, next) => {
    const requestId = requestIdOf(headerOf(c, 'x-request-id') ?? undefined)
    c.set('requestId', requestId)
    c.set('context', contextOf(c, options.sql(c), requestId, NOBODY))
    c.set('quotas', options.quotas)
    await next()
    c.header('x-request-id', requestId)
  }

  /**
   * Who was refused, and where: nobody where the caller is not known. A question carries its organization in its body, so
   * of that a key's own stands for it.
   */
  const refused = async (c: HonoContext, problem: Problem): Promise<Context> => {
    if (problem.kind === 'unauthenticated')
      return contextOf(c, options.sql(c), c.get('requestId') ?? 'unknown', NOBODY)
    const context: Context = c.get('context') ?? (await open(c))
    const organizationId = context.organizationId || (context.actor.organizationId ?? '')
    return { ...context, organizationId }
  }

  /**
   * One log line a request of the management API: by its route, never by its path, which may hold what is nobody's
   * business. Checks are counted, not logged.
   */
  const logged: MiddlewareHandler<Env> = async (c, next) => {
    const startedAtMs = options.nowMs()
    await next()
    const { method } = c.req
    const durationMs = options.nowMs() - startedAtMs
    const fields = { requestId: c.var.requestId, method, route: routePath(c, -1), durationMs }
    options.log.info({ ...fields, status: c.res.status }, 'request')
  }

  /** Goes on inside an organization. What the caller may not know does not exist; who may, may be kept out. */
  const enter = async (c: HonoContext<Env>, reference: string) => {
    const { context } = c.var
    const organizationId = await options.organizationId(context, reference)
    if (organizationId === undefined || !(await options.access.knows(context, organizationId)))
      throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
    c.set('context', { ...context, organizationId })
    const keptOut = await options.access.keptOut(context, organizationId)
    if (keptOut) throw keptOut
  }

  /** Resolves the organization of the path. */
  const organization: MiddlewareHandler<Env> = async (c, next) => {
    await enter(c, c.req.param('organization') ?? '')
    await next()
  }

  /** Resolves the organization for which is asked where the path names none: that of `?organization=`, or a key's own. */
  const organizationAsked: MiddlewareHandler<Env> = async (c, next) => {
    await enter(c, organizationNamed(c))
    await next()
  }

  /**
   * For paths that hold a key of an organization, because their clients can send no header. Whoever such a key does not let in
   * finds nothing there.
   */
  const keyInPath: MiddlewareHandler<Env> = async (c, next) => {
    const requestId = requestIdOf(headerOf(c, 'x-request-id') ?? undefined)
    c.set('requestId', requestId)
    const [sql, token] = [options.sql(c), c.req.param('readKey') ?? '']
    const actor = /^lk_[\w-]{1,128}$/.test(token)
      ? await options.identify(sql, token, options.nowMs())
      : undefined
    if (!actor?.organizationId) throw pathNotFound()
    const context = contextOf(c, sql, requestId, actor)
    if (await options.access.keptOut(context, actor.organizationId)) throw pathNotFound()
    c.set('context', { ...context, organizationId: actor.organizationId })
    await next()
    c.header('x-request-id', requestId)
  }

  /** Resolves the workspace of the path. */
  const workspace: MiddlewareHandler<Env> = async (c, next) => {
    const workspaceId = await options.access.workspaceId(
      c.var.context,
      c.req.param('workspace') ?? '',
    )
    if (workspaceId === undefined)
      throw new Problem('not-found', 'workspace-not-found', 'There is no such workspace.')
    c.set('workspaceId', workspaceId)
    await next()
  }

  return {
    ...{ open, refused, logged, authenticate, anonymous },
    ...{ organization, organizationAsked, workspace, keyInPath },
  }
}

const organizationNamed = (c: HonoContext<Env>): string => {
  const named = c.req.queries('organization') ?? []
  const reference = named[0] ?? c.var.context.actor.organizationId
  if (named.length <= 1 && reference) return reference
  const detail = 'must name one organization, unless the key belongs to one'
  throw new Problem('invalid', 'invalid-request', `/organization ${detail}.`, {
    errors: [{ pointer: '/organization', detail }],
  })
}

/** RFC 9110 §13.1.1: one of our ETags; `*` demands nothing that the routes do not demand already. */
const ifMatchOf = (header: string | undefined): number | undefined => {
  if (header === undefined || header.trim() === '*') return undefined
  const version = /^\s*(?:W\/)?"(\d{1,9})"\s*$/.exec(header)?.[1]
  if (version === undefined)
    throw new Problem('stale', 'version-stale', 'If-Match names no version that was ever given.')
  return Number(version)
}

/** Bytes of the largest body any route takes: that of an import. */
const REPEATABLE_BYTES_MAX = 64 * 1024 * 1024

/** The key with a hash of what it came with, so that it cannot be used for another request. */
const idempotencyOf = async (c: HonoContext) => {
  const key = c.req.header('idempotency-key')
  if (key === undefined || c.req.method !== 'POST') return undefined
  if (!/^[\x21-\x7e]{1,255}$/.test(key))
    throw new Problem(
      'invalid',
      'idempotency-key-invalid',
      'Idempotency-Key must be 1 to 255 printable characters.',
    )
  // A clone, because the handler reads the body, too.
  const body = await readBody(c.req.raw.clone() as Request, REPEATABLE_BYTES_MAX)
  return { key, requestHash: await sha256(`${c.req.method} ${c.req.path}\n${body}`) }
}
