import type * as v from 'valibot'
import type { Context } from '../context.ts'
import type { Transaction } from '../db/connect.ts'
import type { JobType } from './job-type.ts'

/** What a handler is given. */
export type RunningJob<Payload = unknown> = {
  readonly id: string
  readonly payload: Payload
  readonly organizationId: string | null
  readonly workspaceId: string | null
  /** 1 for the first run that counts. */
  readonly attempt: number
  readonly attemptsMax: number
  /** The number of this start. */
  readonly fence: number
  /** Aborts at the timeout, when the job is canceled or lost to another worker, and when the server must stop. */
  readonly signal: AbortSignal
  /** With the actor of the job, or the server itself. */
  readonly context: Context
  /**
   * Claims an effect inside the transaction that makes it: true once per key, whatever is run again.
   * @param key what the effect is; the job itself unless told
   * @throws LeaseLost when the job is another worker's by now, or canceled: nothing may be done in its name
   */
  once(tx: Transaction, key?: string): Promise<boolean>
  /** Tells how far it is, 0 to 1. Kept at most once a second. */
  progress(share: number, note?: string): Promise<void>
}

/** A kind of job and what it does. A run that throws is tried again. */
export type JobHandler = {
  readonly type: JobType<v.GenericSchema<object, object>>
  readonly run: (job: RunningJob<never>) => Promise<unknown>
  readonly settings: HandlerSettings
}

export type HandlerSettings = {
  /** Milliseconds until the next run, after so many failed ones. */
  backoffMs?: (attempts: number) => number
}

/** What runs jobs of a type: `handle(sendDigest, async ({ payload, signal }) => …)`. */
export const handle = <Schema extends v.GenericSchema<object, object>>(
  type: JobType<Schema>,
  run: (job: RunningJob<v.InferOutput<Schema>>) => Promise<unknown>,
  settings: HandlerSettings = {},
): JobHandler => ({ type: type as never, run: run as never, settings })

/** Thrown by a handler: trying again is of no use. */
export class Fatal extends Error {}

/** Thrown by a handler: not now. Does not count as an attempt. */
export class Postponed extends Error {
  readonly delayMs: number
  constructor(reason: string, delayMs: number) {
    super(reason)
    this.delayMs = delayMs
  }
}

/** Thrown by a handler: it failed, and knows when trying again is of use (RFC 9110 §10.2.3, Retry-After). */
export class RetryAfter extends Error {
  readonly delayMs: number
  constructor(reason: string, delayMs: number) {
    super(reason)
    this.delayMs = delayMs
  }
}

/** The job is no longer this worker's. */
export class LeaseLost extends Error {}

const BASE_MS = 1000
const BACKOFF_MS_MAX = 3_600_000

/** Exponential with full jitter: anything up to 1 s, 2 s, 4 s … one hour (Brooker, "Exponential Backoff and Jitter"). */
export const fullJitterMs = (attempts: number, random = Math.random): number =>
  Math.round(random() * Math.min(BACKOFF_MS_MAX, BASE_MS * 2 ** (attempts - 1)))
