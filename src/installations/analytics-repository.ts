import type { Queryable } from '../platform/db/connect.ts'
import type { AnalyticsPoint, Revenue } from './schema.ts'

type Range = {
  organizationId: string
  /** One of the organization's templates; null for all of them. */
  template: string | null
  /** Days, both included: `2026-01-31`. */
  from: string
  to: string
  bucket: 'day' | 'week' | 'month'
}

/** What organizations did with templates, and what they thought of them. */
export const listUse = (tx: Queryable, range: Range) => tx<Omit<AnalyticsPoint, 'revenue'>[]>`
  with own as (
    select id from templates
    where organization_id = ${range.organizationId} and (${range.template}::text is null or id = ${range.template})),
  days as (
    select date_trunc(${range.bucket}, d.day)::date as at, views, downloads, installs, updates, removals, 0 as ratings, 0 as stars
    from template_days d join own on own.id = d.template_id where d.day between ${range.from}::date and ${range.to}::date
    union all
    select date_trunc(${range.bucket}, r.created_at at time zone 'UTC')::date, 0, 0, 0, 0, 0, 1, r.stars
    from ratings r join own on own.id = r.template_id
    where r.hidden_at is null and (r.created_at at time zone 'UTC')::date between ${range.from}::date and ${range.to}::date)
  select at::text as at, sum(views)::int as views, sum(downloads)::int as downloads, sum(installs)::int as installs,
    sum(updates)::int as updates, sum(removals)::int as removals, sum(ratings)::int as ratings,
    round(sum(stars)::numeric / nullif(sum(ratings), 0), 2)::float8 as average_stars
  from days group by 1 order by 1`

/** What was paid and not given back, in the bucket in which it was paid. */
export const listRevenue = (tx: Queryable, range: Range) => tx<(Revenue & { at: string })[]>`
  select date_trunc(${range.bucket}, o.paid_at at time zone 'UTC')::date::text as at, o.currency, count(*)::int as orders,
    sum(o.amount_minor - o.refunded_minor)::float8 as amount_minor
  from orders o join templates t on t.id = o.template_id
  where t.organization_id = ${range.organizationId} and (${range.template}::text is null or t.id = ${range.template})
    and (o.paid_at at time zone 'UTC')::date between ${range.from}::date and ${range.to}::date
  group by 1, 2 order by 1, 2`
