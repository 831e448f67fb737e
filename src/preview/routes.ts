import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { PreviewAnswer, PreviewRequest } from './schema.ts'
import * as service from './service.ts'

/** Mounted at /v1/organizations/:organization/preview. */
export const previewRoutes = (settings: service.PreviewSettings) =>
  router().post(
    '/',
    permit('role:read'),
    answers(
      200,
      PreviewAnswer,
      'Who would gain and who would lose what: a change that is not made',
    ),
    validate('json', PreviewRequest),
    async (c) => c.json(await service.previewChange(settings, c.var.context, c.req.valid('json'))),
  )
