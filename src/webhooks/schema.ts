import * as v from 'valibot'
import { Description, Timestamp, textUpTo } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'

export const Webhook = v.object({
  id: v.string(),
  url: v.string(),
  description: v.string(),
  events: v.array(v.string()),
  enabled: v.boolean(),
  /** Why the server turned it off. */
  disabledReason: v.nullable(v.string()),
  /** Since when no message arrived; null while they do. */
  failingSince: v.nullable(v.string()),
  /** Until when nothing is sent, because the last messages failed. */
  pausedUntil: v.nullable(v.string()),
  /** Until when the former secret signs, too. */
  overlapUntil: v.nullable(v.string()),
  createdBy: v.string(),
  createdAt: v.string(),
  updatedAt: v.string(),
  version: v.number(),
})
export type Webhook = v.InferOutput<typeof Webhook>

/** With the secret, which is shown once; a repeated request (Idempotency-Key) does not show it again. */
export const NewWebhook = v.object({ ...Webhook.entries, secret: v.optional(v.string()) })

const Url = v.pipe(textUpTo(2048), v.nonEmpty('must not be empty'))
const Events = v.pipe(
  v.array(
    v.pipe(
      v.string(),
      v.maxLength(100),
      v.regex(/^(?:\*|[a-z-]+\.(?:\*|[a-z-]+))$/, 'must be as grant.created, grant.* or *'),
    ),
  ),
  v.minLength(1, 'must name at least one'),
  v.maxLength(100, 'must name at most 100'),
  v.transform((events) => [...new Set(events)].sort()),
)

export const CreateWebhook = v.strictObject({
  url: Url,
  description: v.optional(Description, ''),
  events: v.optional(Events, ['*']),
  enabled: v.optional(v.boolean(), true),
})
export type CreateWebhook = v.InferOutput<typeof CreateWebhook>

const WebhookId = v.pipe(v.string(), v.regex(/^whk_[0-9a-z]{26}$/, 'must be the id of a webhook'))
export const OneWebhook = v.object({ webhook: WebhookId })
export type OneWebhook = v.InferOutput<typeof OneWebhook>

export const PatchWebhook = v.strictObject({
  url: v.optional(Url),
  description: v.optional(Description),
  events: v.optional(Events),
  enabled: v.optional(v.boolean()),
})
export type PatchWebhook = v.InferOutput<typeof PatchWebhook>

export const ListWebhooks = v.strictObject(Page)
export type ListWebhooks = v.InferOutput<typeof ListWebhooks>

export const RotateWebhook = v.strictObject({
  /** How long the former secret still signs, so that receivers can be moved one by one. */
  overlapSeconds: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(604_800)),
    86_400,
  ),
})
export type RotateWebhook = OneWebhook & v.InferOutput<typeof RotateWebhook>

const DeliveryState = v.picklist(['pending', 'delivered', 'failed'])

export const Delivery = v.object({
  id: v.string(),
  event: v.string(),
  /** `webhook-id`: the same for every attempt and every replay of a message. */
  eventId: v.string(),
  state: DeliveryState,
  attempts: v.number(),
  responseStatus: v.nullable(v.number()),
  /** Why the last attempt failed. */
  error: v.nullable(v.string()),
  durationMs: v.nullable(v.number()),
  replayOf: v.nullable(v.string()),
  createdAt: v.string(),
  attemptedAt: v.nullable(v.string()),
  deliveredAt: v.nullable(v.string()),
  /** When it is tried again. */
  nextAttemptAt: v.nullable(v.string()),
})
export type Delivery = v.InferOutput<typeof Delivery>

/** With what was sent and the beginning of what came back. */
export const WholeDelivery = v.object({
  ...Delivery.entries,
  body: v.string(),
  responseBody: v.nullable(v.string()),
})
export type WholeDelivery = v.InferOutput<typeof WholeDelivery>

const DeliveryId = v.pipe(v.string(), v.regex(/^dlv_[0-9a-z]{26}$/, 'must be the id of a delivery'))
export const OneDelivery = v.object({ webhook: WebhookId, delivery: DeliveryId })
export type OneDelivery = v.InferOutput<typeof OneDelivery>

export const ListDeliveries = v.strictObject({
  state: v.optional(DeliveryState),
  event: v.optional(textUpTo(100)),
  ...Page,
})
export type ListDeliveries = v.InferOutput<typeof ListDeliveries>

export const ReplayDeliveries = v.strictObject({
  since: Timestamp,
  until: v.optional(Timestamp),
  /** What became of them so far. */
  state: v.optional(v.picklist(['delivered', 'failed']), 'failed'),
})
export type ReplayDeliveries = OneWebhook & v.InferOutput<typeof ReplayDeliveries>

export const Replayed = v.object({
  count: v.number(),
  /** Where to go on, if there were more than are replayed at once. */
  nextSince: v.nullable(v.string()),
})
