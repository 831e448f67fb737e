import type { PreparedIndexes } from '../indexes/changes.ts'

type Given = { indexes: PreparedIndexes }

/** One request per route of recommendations that leaves an event. */
export const RECOMMENDATION_CHANGES: Record<
  string,
  (given: Given) => [what: string, body?: unknown]
> = {
  'POST /v1/optimizer/recommendations': () => [
    'POST /v1/optimizer/recommendations',
    { queries: [{ query: 'select 1' }] },
  ],
  'POST /v1/optimizer/recommendations/:recommendation/approve': ({ indexes }) => [
    `POST /v1/optimizer/recommendations/${indexes.failed}/approve`,
  ],
  'POST /v1/optimizer/recommendations/:recommendation/dismiss': ({ indexes }) => [
    `POST /v1/optimizer/recommendations/${indexes.failed}/dismiss`,
    {},
  ],
}
