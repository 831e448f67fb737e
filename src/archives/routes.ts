import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { ArchiveLine } from './schema.ts'
import * as service from './service.ts'

/** Mounted at /v1/organizations/:organization/archive. */
export const archiveRoutes = router().post(
  '/',
  permit('audit:export'),
  answers(200, ArchiveLine, 'Everything that is kept of the organization, as lines of JSON'),
  async (c) => {
    const stream = await service.archiveOrganization(c.var.context)
    return c.body(stream, 200, { 'content-type': 'application/x-ndjson' })
  },
)
