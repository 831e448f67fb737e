import type { Queryable } from '../platform/db/connect.ts'
import type { ScenarioSummary } from './schema.ts'

/** A scenario as it is stored; `definition` is canonical JSON. */
export type StoredScenario = ScenarioSummary & { workspaceId: string | null; definition: string }

const SCENARIO = (tx: Queryable) => tx`
  s.id, s.name, w.slug as workspace, r.owner, r.suspended_because, octet_length(s.definition) as size_bytes, s.version, s.created_at,
  s.updated_at, r.workspace_id`
const FROM = (tx: Queryable) => tx`
  from scenarios s join resources r on r.organization_id = s.organization_id and r.type = s.resource_type and r.id = s.id
  left join workspaces w on w.organization_id = r.organization_id and w.id = r.workspace_id`

/** One by its id; of this workspace, unless none is named. */
export const findScenario = async (
  tx: Queryable,
  scenario: { organizationId: string; workspaceId?: string | null; id: string },
) => {
  const [found] = await tx<StoredScenario[]>`
    select ${SCENARIO(tx)}, s.definition ${FROM(tx)}
    where s.organization_id = ${scenario.organizationId} and s.id = ${scenario.id}
      and (${scenario.workspaceId ?? null}::text is null or r.workspace_id = ${scenario.workspaceId ?? null})`
  return found
}

export const listScenarios = (
  tx: Queryable,
  range: { organizationId: string; workspaceId: string; after: string; limit: number },
) => tx<ScenarioSummary[]>`
  select ${SCENARIO(tx)} ${FROM(tx)}
  where s.organization_id = ${range.organizationId} and r.workspace_id = ${range.workspaceId} and s.id > ${range.after}
  order by s.id limit ${range.limit}`

/** The resource first, on which the scenario stands. */
export const registerScenario = (
  tx: Queryable,
  scenario: { organizationId: string; id: string; workspaceId: string; owner: string },
) => tx`
  insert into resources (organization_id, type, id, workspace_id, owner)
  values (${scenario.organizationId}, 'scenario', ${scenario.id}, ${scenario.workspaceId}, ${scenario.owner})`

export const insertScenario = (
  tx: Queryable,
  scenario: { organizationId: string; id: string; name: string; definition: string },
) => tx`insert into scenarios ${tx(scenario)}`

export const updateScenario = (
  tx: Queryable,
  scenario: { organizationId: string; id: string; name: string; definition: string },
) => tx`
  update scenarios set name = ${scenario.name}, definition = ${scenario.definition}, version = version + 1, updated_at = now()
  where organization_id = ${scenario.organizationId} and id = ${scenario.id}`

/** Ends the resource, and with it the scenario and every grant on it. */
export const endScenario = (tx: Queryable, scenario: { organizationId: string; id: string }) => tx`
  delete from resources
  where organization_id = ${scenario.organizationId} and type = 'scenario' and id = ${scenario.id}`
