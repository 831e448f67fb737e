import type { Context as HonoContext } from 'hono'
import { resolver } from 'hono-openapi'
import type { Gate } from '../platform/http/gate.ts'
import { documented } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { parseJson, readBody, requireJson } from '../platform/http/validate.ts'
import { parse } from '../platform/parse.ts'
import { BatchAnswer, BatchRequest, CheckAnswer, CheckRequest } from './schema.ts'
import { check, checkBatch, type Policies } from './service.ts'

const json = (schema: Parameters<typeof resolver>[0]) => ({
  'application/json': { schema: resolver(schema) },
})

const described = (
  summary: string,
  request: Parameters<typeof resolver>[0],
  answered: Parameters<typeof resolver>[0],
) => ({
  summary,
  requestBody: { required: true, content: json(request) },
  responses: {
    200: { description: 'Decided', content: json(answered) },
    default: { $ref: '#/components/responses/Problem' },
  },
  'x-permission': 'decision:check',
  'x-permission-asked-at': 'organization',
})

/** A decision's answer, with the request's id and the revision in its head. */
const answer = (requestId: string, body: { revision: string | null }): Response =>
  new Response(JSON.stringify(body), {
    headers: {
      'content-type': 'application/json',
      'x-request-id': requestId,
      ...(body.revision === null ? {} : { 'latchkey-revision': body.revision }),
    },
  })

/**
 * Mounted at /. These two are asked on every request of every service: each is a single handler that opens the gate
 * itself, because every middleware on the way costs about as much as the decision.
 */
export const decisionRoutes = (gate: Gate, policies: Policies) =>
  router()
    .post(
      '/check',
      documented(
        async (c: HonoContext) => {
          const context = await gate.open(c)
          requireJson(c.req.raw.headers.get('content-type'))
          const input = parse(CheckRequest, parseJson(await readBody(c.req.raw)))
          return answer(context.requestId, await check(policies, context, input))
        },
        described('May this subject do this?', CheckRequest, CheckAnswer),
      ),
    )
    .post(
      '/check/batch',
      documented(
        async (c: HonoContext) => {
          const context = await gate.open(c)
          requireJson(c.req.raw.headers.get('content-type'))
          const input = parse(BatchRequest, parseJson(await readBody(c.req.raw)))
          return answer(context.requestId, await checkBatch(policies, context, input))
        },
        described('Ask up to 1,000 questions at once', BatchRequest, BatchAnswer),
      ),
    )
