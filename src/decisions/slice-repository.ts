import type { Queryable } from '../platform/db/connect.ts'
import {
  GRANT,
  HEAD,
  list,
  MEMBER,
  type OrganizationRows,
  RESOURCE,
  type SliceRows,
  UNEXPIRED,
} from './repository.ts'

/** What a slice is read for: subjects (`user:…`, `team:…`) and resources (`type:id`). */
export type Keys = { readonly subjects: readonly string[]; readonly resources: readonly string[] }

/** All that decides about some subjects and resources, at one revision. */
export type HeldRows = SliceRows & {
  revision: number
  /** The subjects that were asked for, and the teams they come to through teams. */
  holders: string[]
}

/** The same with what is small of the organization. */
export type FirstRows = HeldRows & OrganizationRows

// Each is looked up by itself ("offset 0" keeps it so): a plan that was kept for organizations of ten grants would otherwise
// read all grants of one that has a million.
const lookedUp = (each: string, columns: string, from: string, where: string) =>
  `${each} cross join lateral (select ${columns} from ${from} where ${where} offset 0)`
// A list that is unnested counts as ten for the planner; counted as a hundred, or as what a recursion might give, it would
// seem so dear that PostgreSQL compiled the statement first, for a second.
const unnested = (rows: string) => `unnest(array(${rows}))`

const ASKED = `${unnested('select jsonb_array_elements_text($2::text::jsonb) collate "C"')} as asked (holder)`
const HOLDER = `${unnested('select holder from holders')} as h (holder)`
const IS_TEAM = `starts_with(h.holder, 'team:') and t.slug = substr(h.holder, 6)`
const ORGANIZATION_ID = '(select id from o)'
const ofAsked = (columns: string, table: string) =>
  lookedUp(
    ASKED,
    columns,
    `${table} m`,
    `m.organization_id = ${ORGANIZATION_ID} and m.subject = asked.holder`,
  )
const teamOf = (holders: string) =>
  lookedUp(
    holders,
    't.slug, t.parent',
    'teams t',
    `t.organization_id = ${ORGANIZATION_ID} and ${IS_TEAM}`,
  )

// The subjects, their teams, and the teams above these.
const HOLDERS = `with recursive o as materialized (
      select id, slug, status, security, revision from organizations where id = $1 or slug = $1),
    holders (holder) as (
      (select holder from ${ASKED} union select 'team:' || s.team from ${ofAsked('m.team', 'team_members')} s)
      union select 'team:' || p.parent from ${teamOf('holders h')} p where p.parent is not null)`

const WANTED = `${unnested('select jsonb_array_elements($3::text::jsonb)')} as wanted (pair)`
const RESOURCES = lookedUp(
  WANTED,
  '*',
  'resources r',
  `r.organization_id = ${ORGANIZATION_ID} and r.type = wanted.pair->>0 and r.id = wanted.pair->>1`,
)
const GRANTS = `${lookedUp(HOLDER, '*', 'grants g', `g.organization_id = ${ORGANIZATION_ID} and g.subject = h.holder`)} g
    left join lateral (select r.id, r.workspace_id from resources r
      where r.organization_id = g.organization_id and r.type = g.resource_type and r.id = g.resource_id offset 0) r on true
    where ${UNEXPIRED}`

const HELD = `${list('holder', 'holders')} as holders,
    ${list(MEMBER, `${ofAsked('*', 'members')} m`)} as members,
    ${list('json_build_array(slug, parent)', `${teamOf(HOLDER)} t`)} as teams,
    ${list('json_build_array(subject, team)', `${ofAsked('m.subject, m.team', 'team_members')} m`)} as team_members,
    ${list(RESOURCE, `${RESOURCES} r`)} as resources,
    ${list(GRANT, GRANTS)} as grants`

const FIRST = `${HOLDERS} select ${HEAD}, ${HELD} from o`
const MORE = `${HOLDERS} select o.revision, ${HELD} from o`

/**
 * What is small of an organization, by its id or slug, with all that decides about some subjects and resources: one
 * statement, and so of one instant.
 */
export const findFirst = async (
  sql: Queryable,
  reference: string,
  keys: Keys,
): Promise<FirstRows | undefined> => {
  const [row] = await sql.unsafe<FirstRows[]>(FIRST, [reference, ...textOf(keys)], {
    prepare: true,
  })
  return row
}

/** All that decides about more of them, and the revision it is of. */
export const findMore = async (
  sql: Queryable,
  organizationId: string,
  keys: Keys,
): Promise<HeldRows | undefined> => {
  const [row] = await sql.unsafe<HeldRows[]>(MORE, [organizationId, ...textOf(keys)], {
    prepare: true,
  })
  return row
}

/** What PostgreSQL cannot store is in no row. */
const isStorable = (key: string) => key.isWellFormed() && !key.includes('\u0000')

const textOf = ({ subjects, resources }: Keys) => [
  JSON.stringify(subjects.filter(isStorable)),
  JSON.stringify(
    resources.filter(isStorable).map((resource) => {
      const colon = resource.indexOf(':')
      return [resource.slice(0, colon), resource.slice(colon + 1)]
    }),
  ),
]
