import type { Queryable } from './connect.ts'

/** Where an organization and the platform stand; null where there is no such organization. */
export type Revisions = {
  readonly revision: number | null
  readonly platformRevision: number
  /** Whether this very transaction has raised the organization's. */
  readonly ownChange: boolean
}

/** Where an organization and the platform stand now, as the transaction sees them. */
export const findRevisions = async (sql: Queryable, organizationId: string): Promise<Revisions> => {
  const [row] = await sql<Revisions[]>`
    select p.revision as platform_revision, o.revision,
      coalesce(o.revised_by = pg_current_xact_id_if_assigned(), false) as own_change
    from platform p left join organizations o on o.id = ${organizationId}`
  return row!
}
