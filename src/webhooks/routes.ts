import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import {
  CreateWebhook,
  Delivery,
  ListDeliveries,
  ListWebhooks,
  NewWebhook,
  OneDelivery,
  OneWebhook,
  PatchWebhook,
  ReplayDeliveries,
  Replayed,
  RotateWebhook,
  Webhook,
  WholeDelivery,
} from './schema.ts'
import * as service from './service.ts'

/** Mounted at /v1/organizations/:organization/webhooks. */
export const webhookRoutes = (settings: service.WebhookSettings) =>
  router()
    .get(
      '/',
      permit('webhook:read'),
      answers(200, pageOf(Webhook), 'List webhooks'),
      validate('query', ListWebhooks),
      async (c) => c.json(await service.listWebhooks(c.var.context, c.req.valid('query'))),
    )
    .post(
      '/',
      permit('webhook:manage'),
      answers(201, NewWebhook, 'Create a webhook; the secret is shown once'),
      validate('json', CreateWebhook),
      async (c) => {
        const webhook = await service.createWebhook(c.var.context, c.req.valid('json'), settings)
        return c.json(webhook, 201, etag(webhook))
      },
    )
    .get(
      '/:webhook',
      permit('webhook:read'),
      answers(200, Webhook, 'Read a webhook'),
      validate('param', OneWebhook),
      async (c) => {
        const webhook = await service.getWebhook(c.var.context, c.req.valid('param'))
        return c.json(webhook, 200, etag(webhook))
      },
    )
    .patch(
      '/:webhook',
      permit('webhook:manage'),
      answers(200, Webhook, 'Edit, enable or disable a webhook'),
      validate('param', OneWebhook),
      validate('json', PatchWebhook),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') }
        const webhook = await service.updateWebhook(c.var.context, input, settings)
        return c.json(webhook, 200, etag(webhook))
      },
    )
    .delete(
      '/:webhook',
      permit('webhook:manage'),
      answers(204, null, 'Delete a webhook'),
      validate('param', OneWebhook),
      async (c) => {
        await service.deleteWebhook(c.var.context, c.req.valid('param'))
        return c.body(null, 204)
      },
    )
    .post(
      '/:webhook/rotate',
      permit('webhook:manage'),
      answers(200, NewWebhook, 'Give a webhook a new secret'),
      validate('param', OneWebhook),
      validate('json', RotateWebhook),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') }
        const webhook = await service.rotateWebhook(c.var.context, input)
        return c.json(webhook, 200, etag(webhook))
      },
    )
    .post(
      '/:webhook/test',
      permit('webhook:manage'),
      answers(202, Delivery, 'Send a test message'),
      validate('param', OneWebhook),
      async (c) => {
        const input = c.req.valid('param')
        return c.json(await service.testWebhook(c.var.context, input, settings), 202)
      },
    )
    .post(
      '/:webhook/replay',
      permit('webhook:manage'),
      answers(202, Replayed, 'Send the messages of a time once more, at most a thousand'),
      validate('param', OneWebhook),
      validate('json', ReplayDeliveries),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') }
        return c.json(await service.replayDeliveries(c.var.context, input), 202)
      },
    )
    .get(
      '/:webhook/deliveries',
      permit('webhook:read'),
      answers(200, pageOf(Delivery), 'List deliveries, the newest first'),
      validate('param', OneWebhook),
      validate('query', ListDeliveries),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('query') }
        return c.json(await service.listDeliveries(c.var.context, input))
      },
    )
    .get(
      '/:webhook/deliveries/:delivery',
      permit('webhook:read'),
      answers(200, WholeDelivery, 'Read a delivery with what was sent and answered'),
      validate('param', OneDelivery),
      async (c) => c.json(await service.getDelivery(c.var.context, c.req.valid('param'))),
    )
    .post(
      '/:webhook/deliveries/:delivery/replay',
      permit('webhook:manage'),
      answers(202, Delivery, 'Send a message once more'),
      validate('param', OneDelivery),
      async (c) => c.json(await service.replayDelivery(c.var.context, c.req.valid('param')), 202),
    )
