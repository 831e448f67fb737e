import type { TestServer } from '../support/server.ts'

type Given = { path: string; id: string }
type Sample = (given: Given) => [what: string, body?: unknown]

const NAMESPACE = '/v1/cache/namespaces/:namespace'

/** Keeps something, so that it can be taken out. */
export const keepEntry = ({ cache, sql }: TestServer, organizationId: string) =>
  cache.caches
    .namespace('idp')
    .get({ sql, organizationId, revision: 0, key: 'kept' }, async () => ({
      value: { kept: true },
      revision: 0,
    }))

/** One request that changes something, per route of the cache that can. */
export const CACHE_CHANGES: Record<string, Sample> = {
  [`PATCH ${NAMESPACE}`]: () => ['PATCH /v1/cache/namespaces/report', { ttlMs: 60_000 }],
  [`DELETE ${NAMESPACE}/entry`]: ({ id }) => [
    `DELETE /v1/cache/namespaces/idp/entry?organization=${id}&key=kept`,
  ],
  [`POST ${NAMESPACE}/clear`]: () => ['POST /v1/cache/namespaces/report/clear'],
  'POST /v1/cache/tags/:tag/clear': () => ['POST /v1/cache/tags/template:tpl_1/clear'],
  'POST /v1/cache/organizations/:organization/clear': ({ id }) => [
    `POST /v1/cache/organizations/${id}/clear`,
  ],
  'POST /v1/cache/warm': ({ id }) => ['POST /v1/cache/warm', { organization: id }],
  'POST /v1/cache/breaker/reset': () => ['POST /v1/cache/breaker/reset'],
}
