import type { Actor } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import type { Suggestion } from './schema.ts'

export type Enrollment = 'manual' | 'suggest' | 'auto_join'

export type DomainRow = {
  organizationId: string
  domain: string
  state: 'pending' | 'verified' | 'lapsed'
  enrollment: Enrollment
  roleHome: string | null
  roleScope: 'organization' | null
  roleName: string | null
  enroller: Actor | null
  txtToken: string
  failures: number
  verifiedAt: string | null
  checkedAt: string | null
  createdAt: string
  version: number
}

const COLUMNS = [
  'organizationId',
  'domain',
  'state',
  'enrollment',
  'roleHome',
  'roleScope',
  'roleName',
  'enroller',
  'txtToken',
  'failures',
  'verifiedAt',
  'checkedAt',
  'createdAt',
  'version',
] as const

type At = { organizationId: string; domain: string }

/** Claims a domain; nothing where the organization claims it already. */
export const insertDomain = async (tx: Queryable, claim: At & { txtToken: string }) => {
  const [inserted] = await tx<DomainRow[]>`
    insert into organization_domains ${tx(claim)} on conflict do nothing returning ${tx(COLUMNS)}`
  return inserted
}

export const countDomains = async (tx: Queryable, organizationId: string) => {
  const [row] = await tx<{ domains: number }[]>`
    select count(*) as domains from organization_domains where organization_id = ${organizationId}`
  return row!.domains
}

export const findDomain = async (tx: Queryable, { organizationId, domain }: At) => {
  const [found] = await tx<DomainRow[]>`
    select ${tx(COLUMNS)} from organization_domains where organization_id = ${organizationId} and domain = ${domain}`
  return found
}

export const listDomains = (
  tx: Queryable,
  filter: { organizationId: string; after: string; limit: number },
) => tx<DomainRow[]>`
  select ${tx(COLUMNS)} from organization_domains
  where organization_id = ${filter.organizationId} and domain > ${filter.after} order by domain limit ${filter.limit}`

/** Writes down that the proof was found, if it was looked for with the token of now. */
export const verifyDomain = async (
  tx: Queryable,
  { organizationId, domain, txtToken }: At & { txtToken: string },
) => {
  const [verified] = await tx<DomainRow[]>`
    update organization_domains set state = 'verified', failures = 0, checked_at = now(), version = version + 1,
      verified_at = case when state = 'verified' then verified_at else now() end
    where organization_id = ${organizationId} and domain = ${domain} and txt_token = ${txtToken}
    returning ${tx(COLUMNS)}`
  return verified
}

/** Writes down what a look at a verified domain has found: its proof, or one failure more. */
export const noteCheck = async (
  tx: Queryable,
  { organizationId, domain, txtToken, isFound }: At & { txtToken: string; isFound: boolean },
) => {
  const [checked] = await tx<DomainRow[]>`
    update organization_domains set checked_at = now(), failures = case when ${isFound} then 0 else failures + 1 end
    where organization_id = ${organizationId} and domain = ${domain} and txt_token = ${txtToken} and state = 'verified'
    returning ${tx(COLUMNS)}`
  return checked
}

/** A domain whose proof is gone: nobody joins by it any more, and another organization may prove it. */
export const lapseDomain = async (tx: Queryable, { organizationId, domain }: At) => {
  const [lapsed] = await tx<DomainRow[]>`
    update organization_domains set state = 'lapsed', enrollment = 'manual', enroller = null, version = version + 1
    where organization_id = ${organizationId} and domain = ${domain} and state = 'verified' returning ${tx(COLUMNS)}`
  return lapsed
}

export const updateEnrollment = async (
  tx: Queryable,
  next: At & {
    enrollment: Enrollment
    role: { home: string; scope: string; name: string } | null
    enroller: Actor
  },
) => {
  const [updated] = await tx<DomainRow[]>`
    update organization_domains set enrollment = ${next.enrollment}, role_home = ${next.role?.home ?? null},
      role_scope = ${next.role?.scope ?? null}::scope, role_name = ${next.role?.name ?? null},
      enroller = ${tx.json(next.enroller as never)}, version = version + 1
    where organization_id = ${next.organizationId} and domain = ${next.domain} returning ${tx(COLUMNS)}`
  return updated!
}

export const deleteDomain = (tx: Queryable, { organizationId, domain }: At) =>
  tx`delete from organization_domains where organization_id = ${organizationId} and domain = ${domain}`

/** Verified domains that were not looked at for so many hours, of organizations that are not closed. */
export const findUnchecked = (
  tx: Queryable,
  { hours, limit }: { hours: number; limit: number },
) => tx<DomainRow[]>`
  select ${tx(COLUMNS.map((column) => `d.${column}`))} from organization_domains d
    join organizations o on o.id = d.organization_id
  where d.state = 'verified' and d.checked_at <= clock_timestamp() - make_interval(hours => ${hours})
    and o.status in ('active', 'read_only')
  order by d.checked_at, d.domain limit ${limit}`

/** The active organization of this reference, if people with an address of the domain may join it by themselves. */
export const findJoinable = async (tx: Queryable, reference: string, domain: string) => {
  const [found] = await tx<{ id: string }[]>`
    select o.id from organizations o join organization_domains d on d.organization_id = o.id
    where (o.id = ${reference} or o.slug = ${reference}) and o.status = 'active'
      and d.domain = ${domain} and d.state = 'verified' and d.enrollment = 'auto_join'`
  return found?.id
}

/** Active organizations that want to be known to people of a domain who are not members yet. */
export const findSuggestions = (tx: Queryable, domain: string, subject: string) => tx<Suggestion[]>`
  select json_build_object('id', o.id, 'slug', o.slug, 'name', o.name) as organization, d.domain,
    d.enrollment = 'auto_join' as may_join
  from organization_domains d join organizations o on o.id = d.organization_id
  where d.domain = ${domain} and d.state = 'verified' and d.enrollment in ('suggest', 'auto_join') and o.status = 'active'
    and not exists (select 1 from members m where m.organization_id = o.id and m.subject = ${subject})`
