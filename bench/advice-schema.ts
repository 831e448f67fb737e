import { runOne } from '../src/advisor/session-repository.ts'
import type { Sql } from '../src/platform/db/connect.ts'
import { step } from './progress.ts'

/** Executions; all other tables follow from it. 400,000 make 2.3 million rows. */
export type AdviceAmount = {
  executions: number
  /** Whether advice under a budget, and the best known under it, are measured as well: half a minute more. */
  isWithBudget?: boolean
}

/** Rows of each table. */
export const rowsOf = ({ executions }: AdviceAmount) => ({
  organizations: executions / 200,
  members: Math.floor(executions / 8),
  workflows: Math.floor(executions / 20),
  executions,
  steps: executions * 3,
  audit: executions * 1.5,
  deliveries: Math.floor(executions / 10),
  grants: Math.floor(executions / 10),
  api_keys: executions / 50,
})

/** From when on things happen, and for how long. */
export const FROM = '2026-06-01T00:00:00Z'
export const DAYS = 90

/** The k-th of n with a chance of about 1/k: few large tenants, many small ones. */
const zipf = (n: number) => `floor(exp(random() * ln(${n + 1})))::int`
/** The moment of the i-th of n rows, some minutes early or late: nearly in the order of ids. */
const at = (i: string, n: number) =>
  `timestamptz '${FROM}' + (${i}) * (interval '${DAYS} days' / ${n}) + random() * interval '20 minutes'`
const oneOf = (...values: string[]) =>
  `(array[${values.map((value) => `'${value}'`).join(', ')}])[1 + floor(random() * ${values.length})::int]`

/** Statements of each table: its columns, and the query that fills it. Each has its own start of chance. */
const tablesOf = (amount: AdviceAmount) => {
  const rows = rowsOf(amount)
  const each = (n: number) => `generate_series(1, ${n}) i`
  return {
    organizations: [
      `id int primary key, name text not null, slug text not null, plan text not null, region text not null,
        created_at timestamptz not null, deleted_at timestamptz`,
      `select i, 'Organization ' || i, 'org-' || md5(i::text), case when i % 50 = 0 then 'enterprise' when i % 5 = 0 then 'team' else 'free' end,
        ${oneOf('eu', 'us', 'ap')}, timestamptz '${FROM}' - i * interval '3 hours',
        case when random() < 0.05 then timestamptz '${FROM}' end from ${each(rows.organizations)}`,
    ],
    members: [
      `id int primary key, organization_id int not null, email text not null, name text not null, role text not null, status text not null,
        last_seen_at timestamptz, created_at timestamptz not null, deleted_at timestamptz`,
      `select i, ${zipf(rows.organizations)}, 'user' || (i * 7919::bigint) % ${rows.members} || '@example' || i % 40 || '.test', 'Name ' || substr(md5(i::text), 1, 10),
        case when random() < 0.05 then 'owner' when random() < 0.2 then 'admin' else 'member' end,
        case when random() < 0.9 then 'active' when random() < 0.8 then 'suspended' else 'invited' end,
        case when random() < 0.8 then ${at('random()', 1)} end, timestamptz '${FROM}' - (${rows.members} - i) * interval '20 minutes',
        case when random() < 0.08 then ${at('random()', 1)} end from ${each(rows.members)}`,
    ],
    workflows: [
      `id int primary key, organization_id int not null, name text not null, status text not null, tags text[] not null, definition jsonb not null,
        created_by int not null, updated_at timestamptz not null, deleted_at timestamptz`,
      `select i, ${zipf(rows.organizations)}, 'Workflow ' || substr(md5(i::text), 1, 12), case when random() < 0.7 then 'active' when random() < 0.7 then 'paused' else 'draft' end,
        array['tag-' || floor(random() * random() * 40)::int, 'tag-' || floor(random() * 40)::int],
        jsonb_build_object('version', i % 9, 'trigger', ${oneOf('schedule', 'webhook', 'manual')}), ${zipf(rows.members)},
        ${at('random()', 1)}, case when random() < 0.15 then ${at('random()', 1)} end from ${each(rows.workflows)}`,
    ],
    executions: [
      `id int primary key, organization_id int not null, workflow_id int not null, status text not null, trigger text not null,
        started_at timestamptz not null, finished_at timestamptz, duration_ms int, cost_cents int not null, input jsonb, deleted_at timestamptz`,
      `with owners as materialized (select array_agg(organization_id order by id) as of from workflows),
        drawn as materialized (select i, 1 + floor(${rows.workflows} * power(random(), 2))::int as workflow, random() as fate from ${each(rows.executions)})
      select i, owners.of[workflow], workflow,
        case when fate < 0.002 then 'queued' when fate < 0.006 then 'running' when fate < 0.06 then 'failed' when fate < 0.1 then 'cancelled' else 'success' end,
        ${oneOf('schedule', 'webhook', 'manual', 'api')}, ${at('i', rows.executions)},
        case when fate >= 0.006 then ${at('i', rows.executions)} + interval '21 minutes' end, case when fate >= 0.006 then (600000 * power(random(), 3))::int end,
        floor(random() * 100)::int, jsonb_build_object('source', ${oneOf('crm', 'billing', 'mail')}, 'n', i % 100),
        case when random() < 0.04 then ${at('i', rows.executions)} + interval '1 day' end from drawn, owners`,
    ],
    steps: [
      `id int primary key, execution_id int not null, position int not null, kind text not null, status text not null,
        started_at timestamptz not null, duration_ms int not null, retries int not null`,
      `select i, least(${rows.executions}, 1 + i / 3 + floor(random() * 4)::int), i % 7, 'kind-' || floor(20 * random() * random())::int,
        case when random() < 0.03 then 'failed' when random() < 0.02 then 'skipped' else 'success' end,
        ${at('i', rows.steps)}, (60000 * power(random(), 4))::int, case when random() < 0.05 then 1 + floor(random() * 4)::int else 0 end from ${each(rows.steps)}`,
    ],
    audit: [
      `id int primary key, organization_id int not null, actor_id int not null, action text not null, target_type text not null, target_id int not null,
        at timestamptz not null, ip text not null`,
      `select i, ${zipf(rows.organizations)}, ${zipf(rows.members)}, 'action-' || floor(60 * power(random(), 3))::int, ${oneOf('grant', 'member', 'workflow', 'role', 'execution')},
        1 + floor(random() * ${rows.executions})::int, ${at('i', rows.audit)}, '10.0.' || floor(random() * 50)::int || '.' || floor(random() * 250)::int from ${each(rows.audit)}`,
    ],
    deliveries: [
      `id int primary key, organization_id int not null, endpoint_id int not null, status text not null, attempts int not null,
        next_attempt_at timestamptz, created_at timestamptz not null`,
      `select i, ${zipf(rows.organizations)}, 1 + floor(random() * 500)::int, case when fate < 0.01 then 'pending' when fate < 0.04 then 'failed' else 'delivered' end,
        1 + floor(random() * 4)::int, case when fate < 0.01 then ${at('random()', 1)} end, ${at('i', rows.deliveries)} from (select i, random() as fate from ${each(rows.deliveries)} offset 0) as drawn`,
    ],
    grants: [
      `id int primary key, organization_id int not null, member_id int not null, role text not null, resource text not null,
        expires_at timestamptz, created_at timestamptz not null`,
      `select i, ${zipf(rows.organizations)}, 1 + floor(random() * ${rows.members})::int, ${oneOf('reader', 'editor', 'runner', 'auditor')}, 'workflow/' || floor(random() * ${rows.workflows})::int,
        case when random() < 0.1 then ${at('random()', 1)} + interval '60 days' end, ${at('i', rows.grants)} from ${each(rows.grants)}`,
    ],
    api_keys: [
      `id int primary key, organization_id int not null, prefix text not null, hash text not null, last_used_at timestamptz, revoked_at timestamptz`,
      `select i, ${zipf(rows.organizations)}, substr(md5(i::text), 1, 8), md5(i::text) || md5((-i)::text), ${at('random()', 1)},
        case when random() < 0.2 then ${at('random()', 1)} end from ${each(rows.api_keys)}`,
    ],
  }
}

/** Makes all tables, of which only primary keys are indexed, and fills them on the server: the same rows each time. */
export const loadTables = async (sql: Sql, amount: AdviceAmount): Promise<number> => {
  const tables = Object.entries(tablesOf(amount))
  const total = Object.values(rowsOf(amount)).reduce((sum, rows) => sum + rows, 0)
  const loading = step(`load ${total.toLocaleString('en')} rows`, tables.length)
  for (const [number, [name, [columns, query]]] of tables.entries()) {
    loading.at(number, name)
    await sql.begin(async (tx) => {
      await runOne(tx, `select setseed(0.${number + 1})`)
      // Room for updates that change no index, as tables that are written have it.
      await runOne(tx, `create table ${name} (${columns}) with (fillfactor = 90)`)
      await runOne(tx, `insert into ${name} ${query}`)
    })
  }
  loading.done()
  return total
}
