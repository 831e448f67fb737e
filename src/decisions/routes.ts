import type { Context as HonoContext } from 'hono'
import { resolver } from 'hono-openapi'
import type { Context } from '../platform/context.ts'
import { answersEvents, eventStream } from '../platform/http/event-stream.ts'
import type { Gate } from '../platform/http/gate.ts'
import { headerOf } from '../platform/http/headers.ts'
import { documented, permit } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { parseJson, readText, requireJson, validate } from '../platform/http/validate.ts'
import { parse } from '../platform/parse.ts'
import { checkBatch } from './batch.ts'
import { isPlainQuestion } from './plain-question.ts'
import { BatchAnswer, BatchRequest, CheckAnswer, CheckRequest, WatchRequest } from './schema.ts'
import { check, type Policies } from './service.ts'
import { watchPolicy } from './watch.ts'

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
    headers:
      body.revision === null
        ? { 'content-type': 'application/json', 'x-request-id': requestId }
        : {
            'content-type': 'application/json',
            'x-request-id': requestId,
            'latchkey-revision': body.revision,
          },
  })

type Answered = { revision: string | null }

/**
 * One handler that opens the gate itself: these two are asked on every request of every service, and every middleware and
 * every promise on the way costs about as much as the decision.
 */
const asking =
  <Input>(
    gate: Gate,
    read: (body: unknown) => Input,
    work: (context: Context, input: Input) => Answered | Promise<Answered>,
  ) =>
  async (c: HonoContext) => {
    const opened = gate.open(c)
    const context = opened instanceof Promise ? await opened : opened
    requireJson(headerOf(c, 'content-type'))
    const body = await readText(c.req.raw, headerOf(c, 'content-length'))
    const answered = work(context, read(parseJson(body)))
    return answer(context.requestId, answered instanceof Promise ? await answered : answered)
  }

const readCheck = (body: unknown) => (isPlainQuestion(body) ? body : parse(CheckRequest, body))
const readBatch = (body: unknown) => parse(BatchRequest, body)

/** Mounted at /. */
export const decisionRoutes = (gate: Gate, policies: Policies) =>
  router()
    .post(
      '/check',
      documented(
        asking(gate, readCheck, (context, input) => check(policies, context, input)),
        described('May this subject do this?', CheckRequest, CheckAnswer),
      ),
    )
    .post(
      '/check/batch',
      documented(
        asking(gate, readBatch, (context, input) => checkBatch(policies, context, input)),
        described('Ask up to 1,000 questions at once', BatchRequest, BatchAnswer),
      ),
    )

/** Mounted at /v1/organizations/:organization/watch. */
export const watchRoutes = (policies: Policies) =>
  router().get(
    '/',
    permit('decision:check'),
    answersEvents('Watch the policy change, as server-sent events'),
    validate('query', WatchRequest),
    async (c) => {
      const since = c.req.header('last-event-id') ?? c.req.valid('query').since
      const watching = new AbortController()
      const { signal } = watching
      const events = await watchPolicy(policies, c.var.context, { since }, { signal })
      return eventStream(c, events, watching)
    },
  )
