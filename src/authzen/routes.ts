import type { Context as HonoContext } from 'hono'
import { resolver } from 'hono-openapi'
import type { Policies } from '../decisions/service.ts'
import type { Gate } from '../platform/http/gate.ts'
import { documented } from '../platform/http/permit.ts'
import { requestIdOf } from '../platform/http/request-id.ts'
import { router } from '../platform/http/router.ts'
import { parseJson, readBody, requireJson } from '../platform/http/validate.ts'
import {
  Decision,
  EvaluationRequest,
  EvaluationsAnswer,
  EvaluationsRequest,
  Metadata,
} from './schema.ts'
import {
  answerEvaluation,
  answerEvaluations,
  describeDecisionPoint,
  describeOrganization,
} from './service.ts'

const WELL_KNOWN = '/.well-known/authzen-configuration'
const CACHED_SECONDS = 3600

type Schema = Parameters<typeof resolver>[0]

const json = (schema: Schema) => ({ 'application/json': { schema: resolver(schema) } })

const responses = (description: string, schema: Schema) => ({
  200: { description, content: json(schema) },
  default: { $ref: '#/components/responses/Problem' },
})

const PERMITTED = { 'x-permission': 'decision:check', 'x-permission-asked-at': 'organization' }
const PUBLIC = {
  security: [],
  'x-no-permission': 'clients read it before they have a key; it tells nothing of organizations',
}

const EVALUATION = {
  summary: 'AuthZEN: may this subject do this to this resource?',
  requestBody: { required: true, content: json(EvaluationRequest) },
  responses: responses('Decided', Decision),
  ...PERMITTED,
}
const EVALUATIONS = {
  summary: 'AuthZEN: ask up to 1,000 questions at once',
  requestBody: { required: true, content: json(EvaluationsRequest) },
  responses: responses('Decided', EvaluationsAnswer),
  ...PERMITTED,
}
const METADATA = {
  summary: 'AuthZEN: where this decision point is asked',
  responses: responses('Its identifier and its endpoints', Metadata),
  ...PUBLIC,
}

type Answering = (
  ...args: Parameters<typeof answerEvaluations>
) => Promise<{ revision: string; body: object }>

/** A single handler that opens the gate itself, as those of `/check`, for the same reason. */
const handler = (gate: Gate, policies: Policies, answer: Answering) => async (c: HonoContext) => {
  const context = await gate.open(c)
  requireJson(c.req.raw.headers.get('content-type'))
  const asked = {
    organization: c.req.param('organization'),
    body: parseJson(await readBody(c.req.raw)),
  }
  const { revision, body } = await answer(policies, context, asked)
  return answered(body, { 'x-request-id': context.requestId, 'latchkey-revision': revision })
}

const answered = (body: object, headers: Record<string, string>) =>
  new Response(JSON.stringify(body), {
    headers: { 'content-type': 'application/json', ...headers },
  })

/** What may be cached by anybody. The id is set first, so that a refusal carries it, too. */
const metadataHandler = (metadata: (c: HonoContext) => Metadata) => (c: HonoContext) => {
  const requestId = requestIdOf(c.req.header('x-request-id'))
  c.set('requestId', requestId)
  return answered(metadata(c), {
    'cache-control': `public, max-age=${CACHED_SECONDS}`,
    'x-request-id': requestId,
  })
}

/**
 * Text, not a URL: clients compare identifiers byte by byte, so a port that goes without saying stays where it was
 * written. An identifier has neither query nor fragment.
 */
const withoutEnd = (url: string) => url.replace(/[?#].*$/s, '').replace(/\/+$/, '')

const identifierOf = (publicUrl: string | undefined, c: HonoContext) =>
  publicUrl === undefined ? new URL(c.req.url).origin : withoutEnd(publicUrl)

/** The last part of the path as the client wrote it. */
const nameIn = (c: HonoContext) => new URL(c.req.url).pathname.split('/').at(-1) ?? ''

/** The well-known part goes between host and path, so a public URL with a path has its document there as well. */
const wellKnownPaths = (publicUrl: string | undefined) => {
  const path = publicUrl === undefined ? '' : new URL(withoutEnd(publicUrl)).pathname
  return [...new Set([path.replace(/\/$/, ''), ''])].map((each) => WELL_KNOWN + each)
}

/** Mounted at /. A path without an organization is about that of the caller's key. */
export const authzenRoutes = (gate: Gate, policies: Policies, publicUrl: string | undefined) => {
  const routes = router()
  for (const base of ['/access/v1', '/:organization/access/v1']) {
    const [single, batch] = [answerEvaluation, answerEvaluations].map((answer) =>
      handler(gate, policies, answer),
    )
    routes.post(`${base}/evaluation`, documented(single!, EVALUATION))
    routes.post(`${base}/evaluations`, documented(batch!, EVALUATIONS))
  }
  for (const path of wellKnownPaths(publicUrl)) {
    const ofServer = metadataHandler((c) => describeDecisionPoint(identifierOf(publicUrl, c)))
    const ofOrganization = metadataHandler((c) =>
      describeOrganization(identifierOf(publicUrl, c), nameIn(c)),
    )
    routes.get(path, documented(ofServer, METADATA))
    routes.get(`${path}/:organization`, documented(ofOrganization, METADATA))
  }
  return routes
}
