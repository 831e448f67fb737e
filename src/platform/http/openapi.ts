import type { Hono } from 'hono'
import { generateSpecs } from 'hono-openapi'
import type { Env } from './router.ts'

const PROBLEM = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail', 'instance'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', description: 'Stable; for programs' },
    detail: { type: 'string', description: 'A sentence for people' },
    instance: { type: 'string', description: 'Names the request in the log' },
    permission: { type: 'string', description: 'What is missing, with 403' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['pointer', 'detail'],
        properties: {
          pointer: { type: 'string', description: 'JSON Pointer (RFC 6901) to the place' },
          detail: { type: 'string' },
        },
      },
    },
  },
} as const

const RATE_LIMITED = {
  description: 'Tried too often; Retry-After says in how many seconds it can be tried again',
  headers: {
    'Retry-After': { schema: { type: 'integer' } },
    'RateLimit-Policy': { schema: { type: 'string' } },
    RateLimit: { schema: { type: 'string' } },
  },
  content: { 'application/problem+json': { schema: PROBLEM } },
} as const

/** The noun of a path: `/v1/organizations/{organization}/grants/{id}` is about grants. */
const nounOf = (path: string): string => {
  const parts = path.split('/').filter((part) => part !== '')
  if (parts.includes('access') || parts[0] === '.well-known') return 'authzen'
  if (parts[0] === 'check') return 'decisions'
  if (parts[0] === 'n8n') return 'n8n'
  const [, first = parts[0] ?? '', , third] = parts
  const isAction = third === undefined || /^(suspend|reactivate|leave)$/.test(third)
  return first === 'organizations' && !isAction ? third : first
}

/** What we touch of the document; the rest is as it was generated. */
export type OpenApiDocument = { paths: Record<string, Record<string, { tags?: string[] }>> }

/** The OpenAPI 3.1 document of every route, from the schemas that validate, sorted by noun. */
export const documentOf = async (app: Hono<Env>, version: string): Promise<OpenApiDocument> => {
  const document = (await generate(app, version)) as unknown as OpenApiDocument
  for (const [path, operations] of Object.entries(document.paths))
    for (const operation of Object.values(operations)) operation.tags = [nounOf(path)]
  return document
}

const generate = (app: Hono<Env>, version: string) =>
  generateSpecs(app, {
    documentation: {
      openapi: '3.1.0',
      info: {
        title: 'Latchkey',
        version,
        description: 'May this subject do this, on this resource, in this organization?',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      security: [{ bearer: [] }, { apiKey: [] }],
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description: 'An API key (lk_…) or a JSON Web Token',
          },
          apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        },
        responses: {
          RateLimited: RATE_LIMITED as never,
          Problem: {
            description: 'What went wrong (RFC 9457)',
            content: { 'application/problem+json': { schema: PROBLEM as never } },
          },
        },
      },
    },
    defaultValidationErrorResponse: false,
  })
