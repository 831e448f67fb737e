import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import { ApiKey, CreateApiKey, ListApiKeys, NewApiKey, OneApiKey, RotateApiKey } from './schema.ts'
import { createApiKey, deleteApiKey, getApiKey, listApiKeys, rotateApiKey } from './service.ts'

/** Mounted at /v1/organizations/:organization/api-keys. */
export const apiKeyRoutes = router()
  .post(
    '/',
    permit('apikey:manage'),
    answers(201, NewApiKey, 'Create an API key; the secret is shown once'),
    validate('json', CreateApiKey),
    async (c) => {
      const key = await createApiKey(c.var.context, c.req.valid('json'))
      return c.json(key, 201, etag(key))
    },
  )
  .get(
    '/',
    permit('apikey:read'),
    answers(200, pageOf(ApiKey), 'List API keys'),
    validate('query', ListApiKeys),
    async (c) => c.json(await listApiKeys(c.var.context, c.req.valid('query'))),
  )
  .get(
    '/:id',
    permit('apikey:read'),
    answers(200, ApiKey, 'Read an API key'),
    validate('param', OneApiKey),
    async (c) => {
      const key = await getApiKey(c.var.context, c.req.valid('param'))
      return c.json(key, 200, etag(key))
    },
  )
  .delete(
    '/:id',
    permit('apikey:manage'),
    answers(204, null, 'Revoke an API key'),
    validate('param', OneApiKey),
    async (c) => {
      await deleteApiKey(c.var.context, c.req.valid('param'))
      return c.body(null, 204)
    },
  )
  .post(
    '/:id/rotate',
    permit('apikey:manage'),
    answers(200, NewApiKey, 'Give an API key a new secret'),
    validate('param', OneApiKey),
    validate('json', RotateApiKey),
    async (c) => {
      const key = await rotateApiKey(c.var.context, {
        ...c.req.valid('param'),
        ...c.req.valid('json'),
      })
      return c.json(key, 200, etag(key))
    },
  )
