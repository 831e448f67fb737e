import { streamed, validateDocument } from '../platform/http/document.ts'
import { answers, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { readDocument } from './document.ts'
import {
  DOCUMENT_BYTES_MAX,
  ExportOptions,
  ImportDocument,
  ImportOptions,
  ImportReport,
} from './schema.ts'
import { exportDocument, importDocument } from './service.ts'

/** Mounted at /v1/organizations/:organization. */
export const importRoutes = router()
  .post(
    '/import',
    permit('org:update'),
    answers(200, ImportReport, 'Import roles, members, teams, workspaces, resources and grants'),
    validate('query', ImportOptions),
    validateDocument(ImportDocument, { bytesMax: DOCUMENT_BYTES_MAX, read: readDocument }),
    async (c) => {
      const input = { ...c.req.valid('json'), ...c.req.valid('query') }
      return c.json(await importDocument(c.var.context, input))
    },
  )
  .get(
    '/export',
    permit('org:read'),
    answers(200, ImportDocument, 'Export what an import takes'),
    validate('query', ExportOptions),
    async (c) => {
      const { pieces, contentType } = await exportDocument(c.var.context, c.req.valid('query'))
      return streamed(pieces, contentType)
    },
  )
