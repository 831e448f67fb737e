import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import { unseal } from '../platform/crypto/seal.ts'
import type { Transaction } from '../platform/db/connect.ts'
import {
  changeOrganization,
  inOrganization,
  noteInOrganization,
} from '../platform/db/transaction.ts'
import { Postponed, RetryAfter, type RunningJob } from '../platform/jobs/handler.ts'
import type { Send } from '../platform/send.ts'
import { CONTENT_TYPE, TEST_EVENT } from './event.ts'
import type { Attempt } from './repository.ts'
import * as repository from './repository.ts'
import { askedMs, backoffMs } from './retry.ts'
import { signatureHeaders } from './signature.ts'

/** How messages leave. */
export type DeliverySettings = { send: Send; userAgent: string }

type DeliveryJob = RunningJob<{ deliveryId: string }>

const ANSWER_MS_MAX = 15_000
/** Failures in a row after which an endpoint is left alone for a while. */
const FAILURES_MAX = 5
/** Days without one success after which a webhook is turned off. */
const FAILING_DAYS_MAX = 5
/** Milliseconds over which messages come back after a pause. */
const SPREAD_MS = 10_000

const DISABLED = 'the webhook is disabled'
/** States in which an organization's webhook may be turned off: what its jobs do while they still run. */
const ANY_STATE = ['active', 'read_only', 'suspended', 'pending_deletion']

/**
 * Sends one message and writes down what came of it. The request is made outside any transaction; an outcome counts only
 * while the job is still this worker's.
 */
export const deliverMessage = async (job: DeliveryJob, { send, userAgent }: DeliverySettings) => {
  const { context, payload } = job
  const { organizationId } = context
  const of = { organizationId, id: payload.deliveryId, failingDaysMax: FAILING_DAYS_MAX }
  const message = await inOrganization(context, (tx) => repository.findAttempt(tx, of))
  if (message?.state !== 'pending') return { state: message?.state ?? 'deleted' }
  if (!message.enabled) {
    await noteInOrganization(context, async (tx) => {
      await repository.failDelivery(tx, { ...of, error: DISABLED })
    })
    return { state: 'failed' }
  }
  const isProbe = await passPause(context, message)
  const answer = await attempt(job, message, { send, userAgent })
  // Aborted: this run is over, and what it saw says nothing of the endpoint.
  job.signal.throwIfAborted()
  const state = await noteAnswer(job, { message, answer, isProbe })
  if (state !== 'pending') return { state }
  throw new RetryAfter(answer.error!, waitMs(job, answer))
}

/** @returns whether the message tries a paused endpoint @throws Postponed while it is paused */
const passPause = async (context: Context, { webhookId, event, pausedForMs }: Attempt) => {
  // Whoever asks for a test wants to know now.
  if (event === TEST_EVENT) return true
  if (pausedForMs === null) return false
  const isOver = pausedForMs <= 0
  const isMine =
    isOver &&
    (await noteInOrganization(context, (tx, organizationId) =>
      repository.claimProbe(tx, organizationId, webhookId),
    ))
  if (isMine) return true
  const delayMs = Math.max(pausedForMs, SPREAD_MS / 2) + Math.random() * SPREAD_MS
  throw new Postponed('the endpoint failed several times in a row', Math.round(delayMs))
}

type Answer = {
  status: number | null
  body: string | null
  retryAfter: string | null
  /** Why it is a failure; null for a success. */
  error: string | null
  durationMs: number
}

/** One request. Whatever goes wrong with it is an answer, too. */
const attempt = async (
  { context, signal }: DeliveryJob,
  { url, secret, previousSecret, webhookId, eventId, body }: Attempt,
  { send, userAgent }: DeliverySettings,
): Promise<Answer> => {
  const startedAtMs = performance.now()
  const timeout = AbortSignal.timeout(ANSWER_MS_MAX)
  const took = () => Math.round(performance.now() - startedAtMs)
  try {
    const secrets = [secret!, ...(previousSecret === null ? [] : [previousSecret])]
    const opened = await Promise.all(
      secrets.map((sealed) => unseal(context.sealKey, webhookId, sealed)),
    )
    const timestamp = Math.floor(context.now().getTime() / 1000)
    const headers = {
      'content-type': CONTENT_TYPE,
      'user-agent': userAgent,
      ...(await signatureHeaders(opened, { id: eventId, timestamp, body })),
    }
    const request = { url: url!, headers, body, signal: AbortSignal.any([signal, timeout]) }
    const answer = await send(request)
    const error = isSuccess(answer.status) ? null : `the endpoint answered ${answer.status}`
    return { ...answer, error, durationMs: took() }
  } catch (error) {
    const why = timeout.aborted ? `no answer within ${ANSWER_MS_MAX / 1000} s` : sentenceOf(error)
    return { status: null, body: null, retryAfter: null, error: why, durationMs: took() }
  }
}

const isSuccess = (status: number) => status >= 200 && status < 300

const sentenceOf = (error: unknown): string => {
  // Several addresses were tried: the first says enough.
  const first = error instanceof AggregateError ? error.errors[0] : error
  return (first instanceof Error ? first.message || first.name : String(first)).slice(0, 500)
}

type Outcome = { message: Attempt; answer: Answer; isProbe: boolean }

/** Writes down how an attempt ended; answers what becomes of the message. */
const noteAnswer = async (job: DeliveryJob, { message, answer, isProbe }: Outcome) => {
  const { context, payload } = job
  const isDelivered = answer.error === null
  const reason = isDelivered ? undefined : reasonToDisable(message, answer)
  const isOver = reason !== undefined || job.attempt >= job.attemptsMax
  const state = isDelivered ? 'delivered' : isOver ? 'failed' : 'pending'
  const note = async (tx: Transaction, organizationId: string) => {
    await job.once(tx, `${job.id}/${job.fence}`)
    const of = { organizationId, id: payload.deliveryId }
    const { status: responseStatus, body: responseBody, error, durationMs } = answer
    await repository.noteAttempt(tx, of, { state, responseStatus, responseBody, error, durationMs })
    const webhook = { organizationId, id: message.webhookId }
    if (isDelivered) await repository.noteSuccess(tx, organizationId, webhook.id)
    else await repository.noteFailure(tx, { ...webhook, isProbe, failuresMax: FAILURES_MAX })
    if (reason !== undefined) await disable(tx, context, { ...webhook, reason })
  }
  if (reason === undefined) await noteInOrganization(context, note)
  else await changeOrganization(context, note, { allowedWhile: ANY_STATE })
  return state
}

/** Why nothing more is sent to an endpoint, if that is so. */
const reasonToDisable = ({ isFailingTooLong }: Attempt, { status }: Answer): string | undefined => {
  if (status === 410) return 'The endpoint answered 410: it is gone.'
  if (isFailingTooLong) return `No message arrived for ${FAILING_DAYS_MAX} days.`
  return undefined
}

const disable = async (
  tx: Transaction,
  context: Context,
  webhook: { organizationId: string; id: string; reason: string },
) => {
  const after = await repository.disableWebhook(tx, webhook)
  if (!after) return
  const { id, reason } = webhook
  await recordChange(tx, context, {
    event: 'webhook.disabled',
    resource: `webhook:${id}`,
    after,
    reason,
  })
}

/** Never sooner than our own plan: an endpoint that always says "in a second" would use up its attempts in ten. */
const waitMs = ({ attempt, context }: DeliveryJob, { status, retryAfter }: Answer): number => {
  const asked = status === 429 || status === 503 ? askedMs(retryAfter, context.now()) : 0
  return Math.max(backoffMs(attempt), asked)
}
