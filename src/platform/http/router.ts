import { Hono } from 'hono'
import type { Context } from '../context.ts'
import type { Quotas } from './rate-limit.ts'

/** What a handler finds on `c.var`. */
export type Variables = {
  context: Context
  requestId: string
  /** Set on the routes of one workspace. */
  workspaceId: string
  /** What the server was started with, if it was; `limited` reads it. */
  quotas: Quotas | undefined
}

export type Env = { Variables: Variables }

/** A module's routes, to be mounted by `app.ts`. */
export const router = () => new Hono<Env>()
