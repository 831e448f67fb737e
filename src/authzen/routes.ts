import type { Context as HonoContext } from 'hono'
import { resolver } from 'hono-openapi'
import type { Policies } from '../decisions/service.ts'
import type { Context } from '../platform/context.ts'
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

type Answer = (...asked: Parameters<typeof answerEvaluations>) => Promise<Answered>
type Answered = { revision: string; body: object }

const answered = (body: object, headers: Record<string, string>) =>
  new Response(JSON.stringify(body), {
    headers: { 'content-type': 'application/json', ...headers },
  })

const decided = ({ requestId }: Context, { revision, body }: Answered) =>
  answered(body, { 'x-request-id': requestId, 'latchkey-revision': revision })

/** What may be cached by anybody. The id is set first, so that a refusal carries it, too. */
const publishing = (metadata: (c: HonoContext) => Metadata) => (c: HonoContext) => {
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

/** What of the server's options concerns AuthZEN. */
export type AuthzenOptions = {
  publicUrl?: string | undefined
  storedOnlyAttributes?: readonly string[] | undefined
}

/**
 * Mounted at /. A path without an organization is about that of the caller's key. As with `/check`, single handlers open
 * the gate themselves.
 */
export const authzenRoutes = (
  gate: Gate,
  policies: Policies,
  { publicUrl, storedOnlyAttributes }: AuthzenOptions,
) => {
  const storedOnly = new Set(storedOnlyAttributes)
  const asking = (answer: Answer) => async (c: HonoContext) => {
    const context = await gate.open(c)
    requireJson(c.req.raw.headers.get('content-type'))
    const body = parseJson(await readBody(c.req.raw))
    const organization = c.req.param('organization')
    return decided(context, await answer(policies, context, { organization, body, storedOnly }))
  }
  const evaluation = () => documented(asking(answerEvaluation), EVALUATION)
  const evaluations = () => documented(asking(answerEvaluations), EVALUATIONS)
  const routes = router()
    .post('/access/v1/evaluation', evaluation())
    .post('/access/v1/evaluations', evaluations())
    .post('/:organization/access/v1/evaluation', evaluation())
    .post('/:organization/access/v1/evaluations', evaluations())
  const ofServer = (c: HonoContext) => describeDecisionPoint(identifierOf(publicUrl, c))
  const ofOrganization = (c: HonoContext) =>
    describeOrganization(identifierOf(publicUrl, c), nameIn(c))
  for (const path of wellKnownPaths(publicUrl))
    routes
      .get(path, documented(publishing(ofServer), METADATA))
      .get(`${path}/:organization`, documented(publishing(ofOrganization), METADATA))
  return routes
}
