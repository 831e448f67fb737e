import type { Queryable } from '../platform/db/connect.ts'
import type { Resource } from './schema.ts'

// The workspace is shown by its slug, as people name it.
const RESOURCE = (tx: Queryable) => tx`
  r.type, r.id, w.slug as workspace, r.owner, r.attributes, r.suspended_because, r.version, r.created_at, r.updated_at
  from resources r left join workspaces w on w.organization_id = r.organization_id and w.id = r.workspace_id`

export const findResource = async (
  tx: Queryable,
  resource: { organizationId: string; type: string; id: string },
) => {
  const [found] = await tx<(Resource & { workspaceId: string | null })[]>`
    select r.workspace_id, ${RESOURCE(tx)}
    where r.organization_id = ${resource.organizationId} and r.type = ${resource.type} and r.id = ${resource.id}`
  return found
}

export const listResources = (
  tx: Queryable,
  filter: {
    organizationId: string
    type: string
    workspaceId?: string | undefined
    owner?: string | undefined
    after: string
    limit: number
  },
) => tx<Resource[]>`
  select ${RESOURCE(tx)}
  where r.organization_id = ${filter.organizationId} and r.type = ${filter.type} and r.id > ${filter.after}
    and (${filter.workspaceId ?? null}::text is null or r.workspace_id = ${filter.workspaceId ?? null})
    and (${filter.owner ?? null}::text is null or r.owner = ${filter.owner ?? null})
  order by r.id limit ${filter.limit}`

export const upsertResource = (
  tx: Queryable,
  resource: {
    organizationId: string
    type: string
    id: string
    workspaceId: string | null
    owner: string | null
    attributes: Record<string, unknown>
  },
) => tx`
  insert into resources (organization_id, type, id, workspace_id, owner, attributes)
  values (${resource.organizationId}, ${resource.type}, ${resource.id}, ${resource.workspaceId}, ${resource.owner},
    ${tx.json(resource.attributes as never)})
  on conflict (organization_id, type, id) do update
    set workspace_id = excluded.workspace_id, owner = excluded.owner, attributes = excluded.attributes,
      version = resources.version + 1, updated_at = now()`

export const deleteResource = (
  tx: Queryable,
  resource: { organizationId: string; type: string; id: string },
) => tx`
  delete from resources
  where organization_id = ${resource.organizationId} and type = ${resource.type} and id = ${resource.id}`
