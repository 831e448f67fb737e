import type { Transaction } from '../platform/db/connect.ts'

/** What an archive holds of a table: its rows of one organization, without what must never leave. */
export type ArchivedTable = {
  /** The table. */
  name: string
  /** The column that says whose a row is. */
  owner: string
  /** The table whose ids stand in that column, where it is not the organization itself. */
  through?: string
  /** Columns that must never leave: hashes and sealed secrets, and what is only bookkeeping. */
  without?: readonly string[]
}

const OF_A_TEMPLATE = { owner: 'template_id', through: 'templates' }

/** Every table that holds rows of organizations, in an order in which they could be read in again. */
export const TABLES: readonly ArchivedTable[] = [
  { name: 'organizations', owner: 'id', without: ['revised_by'] },
  { name: 'workspaces', owner: 'organization_id' },
  { name: 'members', owner: 'organization_id' },
  { name: 'teams', owner: 'organization_id' },
  { name: 'team_members', owner: 'organization_id' },
  { name: 'roles', owner: 'home' },
  { name: 'role_permissions', owner: 'role_home' },
  { name: 'role_inherits', owner: 'role_home' },
  { name: 'resources', owner: 'organization_id' },
  { name: 'scenarios', owner: 'organization_id' },
  { name: 'api_keys', owner: 'organization_id', without: ['secret_hash', 'previous_secret_hash'] },
  { name: 'grants', owner: 'organization_id' },
  { name: 'ownership_offers', owner: 'organization_id' },
  { name: 'organization_domains', owner: 'organization_id', without: ['enroller'] },
  { name: 'invitations', owner: 'organization_id', without: ['token_hash', 'inviter'] },
  { name: 'invitation_roles', owner: 'organization_id' },
  { name: 'webhooks', owner: 'organization_id', without: ['secret', 'previous_secret'] },
  { name: 'webhook_deliveries', owner: 'organization_id' },
  { name: 'jobs', owner: 'organization_id', without: ['payload', 'actor'] },
  { name: 'finished_jobs', owner: 'organization_id', without: ['payload', 'actor', 'result'] },
  { name: 'job_attempts', owner: 'organization_id' },
  { name: 'job_turns', owner: 'tenant' },
  { name: 'job_minutes', owner: 'tenant' },
  { name: 'publishers', owner: 'organization_id' },
  { name: 'templates', owner: 'organization_id', without: ['words', 'publisher_id'] },
  { name: 'template_descriptions', ...OF_A_TEMPLATE, without: ['words'] },
  { name: 'template_versions', ...OF_A_TEMPLATE },
  // Who decided stays among moderators.
  { name: 'moderation_cases', ...OF_A_TEMPLATE, without: ['decided_by'] },
  { name: 'advisories', ...OF_A_TEMPLATE },
  { name: 'prices', ...OF_A_TEMPLATE },
  { name: 'template_days', ...OF_A_TEMPLATE },
  { name: 'orders', owner: 'organization_id' },
  { name: 'entitlements', owner: 'organization_id' },
  { name: 'installations', owner: 'organization_id', without: ['installer'] },
  { name: 'installation_history', owner: 'installation_id', through: 'installations' },
  { name: 'ratings', owner: 'organization_id' },
  { name: 'template_day_organizations', owner: 'organization_id' },
  { name: 'limit_overrides', owner: 'organization_id' },
  { name: 'usage', owner: 'organization_id' },
  { name: 'usage_reports', owner: 'organization_id' },
  { name: 'usage_reservations', owner: 'organization_id' },
  { name: 'usage_points', owner: 'organization_id' },
  { name: 'policy_changes', owner: 'organization_id', without: ['changed_by'] },
  { name: 'audit_events', owner: 'log' },
]

/** Rows read with one trip. */
const ROWS = 500

/** The rows of a table as JSON texts, some hundreds at a time. */
export const readRows = (
  tx: Transaction,
  organizationId: string,
  { name, owner, through, without = [] }: ArchivedTable,
): AsyncIterable<{ row: string }[]> =>
  tx<{ row: string }[]>`
    select (to_jsonb(t) - ${without as string[]}::text[])::text as row from ${tx(name)} t
    where ${tx(owner)} ${
      through
        ? tx`in (select id from ${tx(through)} where organization_id = ${organizationId})`
        : tx`= ${organizationId}`
    }`.cursor(ROWS)
