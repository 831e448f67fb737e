import { recordChange } from '../audit/service.ts'
import { ceilingOf, refuseAboveCeiling, requireHeld } from '../decisions/ceiling.ts'
import type { Context } from '../platform/context.ts'
import { seal } from '../platform/crypto/seal.ts'
import type { Queryable, Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization, inPlatform } from '../platform/db/transaction.ts'
import { newId } from '../platform/id.ts'
import { didYouMean } from '../platform/nearest.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { requirePublicUrl } from './address.ts'
import { messageOf, PATTERNS, TEST_EVENT } from './event.ts'
import { enqueueDeliveries } from './queue.ts'
import * as repository from './repository.ts'
import type {
  CreateWebhook,
  Delivery,
  ListDeliveries,
  ListWebhooks,
  OneDelivery,
  OneWebhook,
  PatchWebhook,
  ReplayDeliveries,
  RotateWebhook,
  Webhook,
} from './schema.ts'
import { newSecret } from './signature.ts'

export { tellWebhooks } from './tell.ts'

/** Where webhooks may lead, and the origin their messages name. */
export type WebhookSettings = { privateAddresses: boolean; origin: string }

const REPLAYED_MAX = 1000

/** What is stored for a repeated request: everything but the secret, which is shown once. */
const withoutSecret = ({ secret: _secret, ...webhook }: { secret?: string }) => webhook

const resourceOf = ({ id }: { id: string }) => `webhook:${id}`

const requireWebhook = async (
  tx: Queryable,
  organizationId: string,
  id: string,
): Promise<Webhook> => {
  const webhook = await repository.findWebhook(tx, organizationId, id)
  if (!webhook) throw new Problem('not-found', 'webhook-not-found', 'There is no such webhook.')
  return webhook
}

const requireEnabled = ({ enabled }: Webhook): void => {
  if (!enabled)
    throw new Problem('conflict', 'webhook-disabled', 'The webhook is disabled; enable it first.')
}

/** An event that never comes is a mistake in spelling. */
const requireEvents = (events: readonly string[]): void => {
  events.forEach((event, index) => {
    if (PATTERNS.has(event)) return
    const detail = `There is no such event.${didYouMean(event, PATTERNS)}`
    throw unprocessable('event-unknown', `/events/${index}`, detail)
  })
}

/** Messages hold what the log holds: who sends them somewhere gives it away, and must be able to read it. */
const refuseWithoutLog = async (context: Context, tx: Transaction, pointer: string) => {
  const place = { organizationId: context.organizationId }
  const ceiling = await ceilingOf(context, tx)
  refuseAboveCeiling(ceiling, [{ permission: 'audit:read', place }], pointer)
}

/** Webhooks: an organization is told of its changes, at an address of its choice. */
export const createWebhook = (
  context: Context,
  input: CreateWebhook,
  { privateAddresses }: WebhookSettings,
) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      await refuseWithoutLog(context, tx, '/url')
      requirePublicUrl(input.url, privateAddresses)
      requireEvents(input.events)
      const id = newId('whk')
      const secret = newSecret()
      const webhook = await repository.insertWebhook(tx, {
        ...input,
        id,
        organizationId,
        secret: await seal(context.sealKey, id, secret),
        createdBy: context.actor.subject,
      })
      const resource = resourceOf(webhook)
      await recordChange(tx, context, { event: 'webhook.created', resource, after: webhook })
      return { ...webhook, secret: secret as string | undefined }
    },
    { remember: withoutSecret },
  )

export const listWebhooks = (context: Context, { limit, cursor }: ListWebhooks) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { organizationId, after: positionOf(cursor), limit: limit + 1 }
    return toPage(await repository.listWebhooks(tx, range), limit, ({ id }) => id)
  })

export const getWebhook = (context: Context, { webhook: id }: OneWebhook) =>
  inOrganization(context, (tx, organizationId) => requireWebhook(tx, organizationId, id))

/** Changes a webhook. One that is enabled, or led elsewhere, begins anew: what stopped it is forgotten. */
export const updateWebhook = (
  context: Context,
  { webhook: id, ...patch }: OneWebhook & PatchWebhook,
  { privateAddresses }: WebhookSettings,
) =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = await requireWebhook(tx, organizationId, id)
    const gives = (['url', 'events'] as const).find((member) => patch[member] !== undefined)
    if (gives || patch.enabled) await refuseWithoutLog(context, tx, `/${gives ?? 'enabled'}`)
    refuseStale(context, before.version)
    if (patch.url !== undefined) requirePublicUrl(patch.url, privateAddresses)
    requireEvents(patch.events ?? [])
    if (Object.keys(patch).length === 0) return before
    const beginsAnew =
      patch.enabled === true || (patch.url !== undefined && patch.url !== before.url)
    const wanted = { ...before, ...patch, organizationId, beginsAnew }
    const after = await repository.updateWebhook(tx, wanted)
    const resource = resourceOf(after)
    await recordChange(tx, context, { event: 'webhook.updated', resource, before, after })
    return after
  })

/** Ends a webhook: what is still to be sent is not sent. */
export const deleteWebhook = (context: Context, { webhook: id }: OneWebhook) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const before = await requireWebhook(tx, organizationId, id)
      refuseStale(context, before.version)
      await repository.deleteWebhook(tx, organizationId, id)
      const resource = resourceOf(before)
      await recordChange(tx, context, { event: 'webhook.deleted', resource, before })
    },
    { shrinks: true },
  )

/** Gives a webhook a new secret; both sign during the overlap. */
export const rotateWebhook = (context: Context, { webhook: id, overlapSeconds }: RotateWebhook) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const before = await requireWebhook(tx, organizationId, id)
      refuseStale(context, before.version)
      const secret = newSecret()
      const sealed = await seal(context.sealKey, id, secret)
      const rotation = { organizationId, id, secret: sealed, overlapSeconds }
      const after = await repository.replaceSecret(tx, rotation)
      await recordChange(tx, context, {
        event: 'webhook.secret-rotated',
        resource: resourceOf(after),
        before,
        after,
        reason: `the former secret signs for ${overlapSeconds} more seconds`,
      })
      return { ...after, secret: secret as string | undefined }
    },
    { remember: withoutSecret },
  )

/** Sends a message that says nothing, whatever the webhook listens to. */
export const testWebhook = (
  context: Context,
  { webhook: id }: OneWebhook,
  { origin }: WebhookSettings,
) =>
  changeOrganization(context, async (tx, organizationId) => {
    const webhook = await requireWebhook(tx, organizationId, id)
    requireEnabled(webhook)
    const resource = resourceOf(webhook)
    const event = {
      id: newId('evt'),
      log: organizationId,
      at: context.now().toISOString(),
      actor: context.actor.subject,
      event: TEST_EVENT,
      resource,
      requestId: context.requestId,
      ...{ workspaceId: null, subject: null, before: null, after: null, reason: null, revision: 0 },
    }
    const body = messageOf(event, origin)
    const message = { organizationId, eventId: event.id, event: TEST_EVENT, body }
    const [sent] = await repository.insertDeliveries(tx, message, [
      { id: newId('dlv'), webhookId: id },
    ])
    await enqueueDeliveries(tx, context, [sent!])
    await recordChange(tx, context, {
      event: 'webhook.tested',
      resource,
      after: { delivery: sent!.id },
    })
    return shownDelivery(tx, { organizationId, webhookId: id, id: sent!.id })
  })

type Of = { organizationId: string; webhookId: string; id: string }

const requireDelivery = async (tx: Queryable, of: Of) => {
  const delivery = await repository.findDelivery(tx, of)
  if (!delivery) throw new Problem('not-found', 'delivery-not-found', 'There is no such delivery.')
  return delivery
}

const shownDelivery = async (tx: Queryable, of: Of): Promise<Delivery> => {
  const { body: _body, responseBody: _responseBody, ...delivery } = await requireDelivery(tx, of)
  return delivery
}

export const listDeliveries = (
  context: Context,
  { webhook: webhookId, limit, cursor, ...wanted }: OneWebhook & ListDeliveries,
) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { before: positionOf(cursor), limit: limit + 1 }
    const only = { state: wanted.state ?? null, event: wanted.event ?? null }
    await requireWebhook(tx, organizationId, webhookId)
    const filter = { organizationId, webhookId, ...only, ...range }
    return toPage(await repository.listDeliveries(tx, filter), limit, ({ id }) => id)
  })

/** A delivery with what was sent, which is what the log holds: it needs the permission to read the log. */
export const getDelivery = (context: Context, { webhook: webhookId, delivery: id }: OneDelivery) =>
  inOrganization(context, async (tx, organizationId) => {
    requireHeld(await ceilingOf(context, tx), 'audit:read', organizationId)
    await requireWebhook(tx, organizationId, webhookId)
    return requireDelivery(tx, { organizationId, webhookId, id })
  })

/** Sends one message once more, under the same `webhook-id`. */
export const replayDelivery = (
  context: Context,
  { webhook: webhookId, delivery: id }: OneDelivery,
) =>
  changeOrganization(context, async (tx, organizationId) => {
    const webhook = await requireWebhook(tx, organizationId, webhookId)
    requireEnabled(webhook)
    await requireDelivery(tx, { organizationId, webhookId, id })
    const [replay] = await sendAgain(tx, context, [id])
    const resource = resourceOf(webhook)
    await recordChange(tx, context, {
      event: 'webhook.replayed',
      resource,
      after: { delivery: id },
    })
    return shownDelivery(tx, { organizationId, webhookId, id: replay!.id })
  })

/** Sends the messages of a time once more, a thousand at once; those that arrived in the meantime are left out. */
export const replayDeliveries = (
  context: Context,
  { webhook: webhookId, since, until, state }: ReplayDeliveries,
) =>
  changeOrganization(context, async (tx, organizationId) => {
    const webhook = await requireWebhook(tx, organizationId, webhookId)
    requireEnabled(webhook)
    const range = { since, until: until ?? null, state, limit: REPLAYED_MAX + 1 }
    const found = await repository.findReplayable(tx, { organizationId, webhookId, ...range })
    const chosen = found.slice(0, REPLAYED_MAX).map(({ id }) => id)
    const { length: count } = await sendAgain(tx, context, chosen)
    const after = { since, until, state, count }
    const resource = resourceOf(webhook)
    await recordChange(tx, context, { event: 'webhook.replayed', resource, after })
    return { count, nextSince: found[REPLAYED_MAX]?.createdAt ?? null }
  })

const sendAgain = async (tx: Transaction, context: Context, ids: readonly string[]) => {
  const replays = ids.map((replayOf) => ({ id: newId('dlv'), replayOf }))
  const made = await repository.insertReplays(tx, context.organizationId, replays)
  await enqueueDeliveries(tx, context, made)
  return made
}

const KEPT_DAYS = 30
const DELETED_AT_ONCE = 1000

/** Deletes messages of all organizations that are older than thirty days; answers how many. */
export const deleteOldDeliveries = async (
  { sql }: Pick<Context, 'sql'>,
  signal: AbortSignal,
): Promise<number> => {
  await inPlatform(sql, async (tx) => {
    await repository.failAbandoned(tx, 'its job ended before it was sent')
  })
  let deleted = 0
  for (;;) {
    signal.throwIfAborted()
    const count = await inPlatform(sql, (tx) =>
      repository.deleteOld(tx, KEPT_DAYS, DELETED_AT_ONCE),
    )
    deleted += count
    if (count < DELETED_AT_ONCE) return deleted
  }
}
