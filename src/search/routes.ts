import type { Policies } from '../decisions/service.ts'
import { csv } from '../platform/http/csv.ts'
import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import {
  FoundPermissions,
  FoundResources,
  FoundSubjects,
  SearchPermissions,
  SearchResources,
  SearchSubjects,
} from './schema.ts'
import * as service from './service.ts'

/** Mounted at /v1/organizations/:organization/search. With `Accept: text/csv` a page is answered as a table. */
export const searchRoutes = (policies: Policies) =>
  router()
    .post(
      '/permissions',
      permit('decision:check'),
      answers(200, FoundPermissions, 'What may this subject do, and why?'),
      validate('json', SearchPermissions),
      async (c) => {
        const found = await service.searchPermissions(policies, c.var.context, c.req.valid('json'))
        return csv(c, found) ?? c.json(found)
      },
    )
    .post(
      '/subjects',
      permit('decision:check'),
      answers(200, FoundSubjects, 'Who may do this, and why?'),
      validate('json', SearchSubjects),
      async (c) => {
        const found = await service.searchSubjects(policies, c.var.context, c.req.valid('json'))
        return csv(c, found) ?? c.json(found)
      },
    )
    .post(
      '/resources',
      permit('decision:check'),
      answers(200, FoundResources, 'On which resources may this subject do this, and why?'),
      validate('json', SearchResources),
      async (c) => {
        const found = await service.searchResources(policies, c.var.context, c.req.valid('json'))
        return csv(c, found) ?? c.json(found)
      },
    )
