import type { PreparedMarket } from '../support/market.ts'
import type { TestServer } from '../support/server.ts'

type Given = { id: string; market: PreparedMarket }
type Sample = (given: Given) => [what: string, body?: unknown]

/** A rating of what the organization has installed, by the operator who asks, so that it can be taken back. */
export const prepareRating = ({ sql }: Pick<TestServer, 'sql'>, { id, market }: Given) => sql`
  insert into ratings (template_id, subject, organization_id, version_id, stars)
  select ${market.listed}, 'key:' || (select k.id from api_keys k where k.organization_id is null and k.name = 'test'), ${id}, v.id, 3
  from template_versions v where v.template_id = ${market.listed} limit 1`

const TEMPLATE = '/v1/templates/:template'
const at = ({ id, market }: Given, what: string) =>
  `/v1/templates/${market.listed}/${what}?organization=${id}`

/** One request that changes something, per route of the catalog that can. */
export const CATALOG_CHANGES: Record<string, Sample> = {
  [`PUT ${TEMPLATE}/rating`]: (given) => [`PUT ${at(given, 'rating')}`, { stars: 4 }],
  [`DELETE ${TEMPLATE}/rating`]: (given) => [`DELETE ${at(given, 'rating')}`],
  [`POST ${TEMPLATE}/reports`]: (given) => [
    `POST ${at(given, 'reports')}`,
    { reasonCode: 'spam', note: 'It sells something.' },
  ],
}
