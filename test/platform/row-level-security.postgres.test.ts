import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Transaction } from '../../src/platform/db/connect.ts'
import { furnish } from '../support/furnished.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** The column of each table that says whose a row is. */
const OWNED: Record<string, string> = {
  organizations: 'id',
  workspaces: 'organization_id',
  members: 'organization_id',
  teams: 'organization_id',
  team_members: 'organization_id',
  roles: 'home',
  role_permissions: 'role_home',
  role_inherits: 'role_home',
  resources: 'organization_id',
  api_keys: 'organization_id',
  grants: 'organization_id',
  idempotency_keys: 'organization_id',
  policy_changes: 'organization_id',
  audit_events: 'log',
  jobs: 'organization_id',
  finished_jobs: 'organization_id',
  job_attempts: 'organization_id',
  job_turns: 'tenant',
  job_minutes: 'tenant',
  webhooks: 'organization_id',
  webhook_deliveries: 'organization_id',
  invitations: 'organization_id',
  invitation_roles: 'organization_id',
  limit_overrides: 'organization_id',
  usage: 'organization_id',
  usage_reports: 'organization_id',
  usage_reservations: 'organization_id',
  usage_points: 'organization_id',
  ownership_offers: 'organization_id',
  organization_domains: 'organization_id',
  scenarios: 'organization_id',
  publishers: 'organization_id',
  templates: 'organization_id',
  template_versions: 'template_id',
  template_descriptions: 'template_id',
  moderation_cases: 'template_id',
  advisories: 'template_id',
  prices: 'template_id',
  orders: 'organization_id',
  entitlements: 'organization_id',
  installations: 'organization_id',
  installation_history: 'installation_id',
  ratings: 'organization_id',
  template_days: 'template_id',
  template_day_organizations: 'organization_id',
}
/** The table whose ids stand in such a column, where it is not the organization itself. */
const THROUGH: Record<string, string> = {
  template_id: 'templates',
  installation_id: 'installations',
}
/** Tables of which everybody sees every row, by design; each is written by its own organization only. */
const SHOWN = new Set(['publishers', 'ratings'])
/** What everybody may read: what all organizations share. */
const CATALOG = [
  ...['categories', 'marketplace_figures', 'meters', 'permissions', 'plan_limits', 'plans'],
  ...['platform', 'removals', 'resource_types', 'template_words'],
]
/** What no request reads inside an organization. */
const CLOSED = [
  'catalog_terms', // of what is listed; read by the search, which is the platform's
  ...['advice_runs', 'recommendations'],
  ...['queries', 'query_statistics_hours', 'slow_queries', 'query_counters'],
  'payment_events', // what a payment provider told, before it is known whom it concerns
  ...['schema_migrations', 'slug_tombstones', 'leases', 'rate_limits', 'cache_generations'],
  ...[
    'job_effects',
    'job_queues',
    'job_reconciliations',
    'job_schedules',
    'job_slots',
    'job_workers',
  ],
]

let server: TestServer
let mine: Awaited<ReturnType<typeof furnish>>
let theirs: Awaited<ReturnType<typeof furnish>>

beforeAll(async () => {
  server = await startTestServer()
  mine = await furnish(server)
  theirs = await furnish(server)
})
afterAll(() => server.drop())

/** Work in a transaction that is rolled back, as one of the two roles. */
const as = async <Result>(
  role: 'latchkey_app' | 'latchkey_platform',
  organizationId: string | null,
  work: (tx: Transaction) => Promise<Result>,
): Promise<Result> => {
  let result: { value: Result } | undefined
  const undone = new Error('undone')
  await server.sql
    .begin(async (tx) => {
      await tx`select set_config('role', ${role}, true)`
      if (organizationId !== null)
        await tx`select set_config('latchkey.organization', ${organizationId}, true)`
      result = { value: await work(tx) }
      throw undone
    })
    .catch((error: unknown) => {
      if (error !== undone) throw error
    })
  return result!.value
}
/** The SQLSTATE a statement is refused with, or how many rows it reached. */
const attempt = (
  role: 'latchkey_app' | 'latchkey_platform',
  id: string | null,
  statement: string,
) =>
  as(role, id, async (tx) => (await tx.unsafe(statement)).count).catch(
    (error: { code?: string }) => error.code ?? String(error),
  )
const REFUSED = '42501'

/** What a column that says whose a row is holds for an organization: asked past row-level security. */
const homesOf = async (column: string, organizationId: string): Promise<string[]> => {
  const through = THROUGH[column]
  if (!through) return [organizationId]
  const rows = await server.sql.unsafe<{ id: string }[]>(
    `select id from ${through} where organization_id = '${organizationId}'`,
  )
  return rows.map(({ id }) => id)
}
const listed = (homes: readonly string[]) => homes.map((home) => `'${home}'`).join(', ')

describe('row-level security', () => {
  test('knows every table: a new one is owned, in the catalog, or closed', async () => {
    const rows = await server.sql`
      select relname as name, relrowsecurity as secured from pg_class
      where relkind in ('r', 'p') and not relispartition and relnamespace = 'public'::regnamespace order by 1`
    expect(rows.map(({ name }) => name).toSorted()).toEqual(
      [...Object.keys(OWNED), ...CATALOG, ...CLOSED].toSorted(),
    )
    expect(rows.filter(({ secured }) => secured).map(({ name }) => name)).toEqual(
      Object.keys(OWNED).toSorted(),
    )
  })

  test('opens no partition but through its table', async () => {
    const rows = await server.sql`
      select relname from pg_class where relispartition and relkind = 'r'
        and has_any_column_privilege('latchkey_app', oid, 'select, insert, update')`
    expect([...rows]).toEqual([])
  })

  test('lets be read without a policy exactly the catalog', async () => {
    const rows = await server.sql`
      select relname as name from pg_class
      where relkind in ('r', 'v', 'm', 'p') and relnamespace = 'public'::regnamespace and not relrowsecurity
        and relname <> 'workspace_members' and has_table_privilege('latchkey_app', oid, 'select') order by 1`
    expect(rows.map(({ name }) => name)).toEqual(CATALOG)
    for (const table of CATALOG)
      for (const statement of [`delete from ${table}`, `insert into ${table} default values`])
        expect([statement, await attempt('latchkey_app', mine.id, statement)]).toEqual([
          statement,
          REFUSED,
        ])
  })

  test.each(Object.entries(OWNED).filter(([table]) => !SHOWN.has(table)))(
    'shows no row of %s without an organization',
    async (table, column) => {
      for (const organizationId of [null, '', 'platform', 'nonsense'])
        expect(
          await as('latchkey_app', organizationId, (tx) =>
            tx.unsafe(`select 1 from ${table} where ${column} <> 'platform'`),
          ),
        ).toHaveLength(0)
    },
  )

  test.each(Object.entries(OWNED))('shows of %s the own rows only', async (table, column) => {
    const whose = await as('latchkey_app', mine.id, (tx) =>
      tx.unsafe<{ home: string }[]>(`select distinct ${column} as home from ${table}`),
    )
    const homes = whose.map(({ home }) => home).filter((home) => home !== 'platform')
    const [own, foreign] = [await homesOf(column, mine.id), await homesOf(column, theirs.id)]
    const seen = SHOWN.has(table) ? [...own, ...foreign] : own
    expect(homes.toSorted()).toEqual(seen.toSorted())
    const [there] = await server.sql.unsafe(
      `select count(*)::int as rows from ${table} where ${column} in (${listed(foreign)})`,
    )
    expect(there!.rows).toBeGreaterThan(0)
  })

  test('shows of the view of workspace members the own ones only', async () => {
    await server.call(`PUT ${theirs.path}/workspaces/lab/members/bob`, { roles: ['guest'] })
    const [all] = await server.sql`select count(*)::int as rows from workspace_members`
    expect(all!.rows).toBeGreaterThan(0)
    const seen = await as('latchkey_app', mine.id, (tx) => tx`select * from workspace_members`)
    expect(seen.filter(({ organizationId }) => organizationId !== mine.id)).toEqual([])
  })

  test.each(Object.entries(OWNED))(
    'lets no foreign row of %s be changed',
    async (table, column) => {
      const written = table === 'roles' ? 'description' : column
      const foreign = await homesOf(column, theirs.id)
      const where = `where ${column} in (${listed([...foreign, 'platform'])})`
      for (const statement of [
        `delete from ${table} ${where}`,
        `update ${table} set ${written} = ${written} ${where}`,
      ])
        expect([statement, [REFUSED, 0]]).toEqual([
          statement,
          expect.arrayContaining([await attempt('latchkey_app', mine.id, statement)]),
        ])
    },
  )

  test.each(Object.entries(OWNED))(
    'lets no foreign row be written into %s',
    async (table, column) => {
      const columns = await server.sql<{ name: string }[]>`
      select column_name as name from information_schema.columns
      where table_schema = 'public' and table_name = ${table} and is_generated = 'NEVER' and is_identity = 'NO'`
      const names = columns.map(({ name }) => name).join(', ')
      const [row] = await server.sql.unsafe(
        `select to_jsonb(t)::text as json from ${table} t
         where ${column} in (${listed(await homesOf(column, theirs.id))}) limit 1`,
      )
      const insert = `insert into ${table} (${names})
      select ${names} from jsonb_populate_record(null::${table}, '${row!.json.replaceAll("'", "''")}')`
      expect(await attempt('latchkey_app', mine.id, insert)).toBe(REFUSED)
      expect(await attempt('latchkey_app', null, insert)).toBe(REFUSED)
    },
  )

  test.each(
    Object.entries(OWNED).filter(
      ([table, column]) =>
        (column === 'organization_id' || column in THROUGH) && table !== 'policy_changes',
    ),
  )('lets no own row of %s be moved to another organization', async (table, column) => {
    const [own, foreign] = [await homesOf(column, mine.id), await homesOf(column, theirs.id)]
    const statement = `update ${table} set ${column} = '${foreign[0]}' where ${column} in (${listed(own)})`
    expect(await attempt('latchkey_app', mine.id, statement)).toBe(REFUSED)
  })
})

describe('columns', () => {
  test.each([
    ['organizations', 'revision', '9'],
    ['organizations', 'revised_at', 'now()'],
    ['organizations', 'revised_by', 'pg_current_xact_id()'],
    ['organizations', 'status_reason', "'x'"],
    ['organizations', 'id', 'id'],
    ['organizations', 'created_at', 'now()'],
    ['organizations', 'plan', "'custom'"],
    ['usage', 'used', '0'],
    ['usage', 'reserved', '0'],
    ['usage_reports', 'amount', '1'],
    ['usage_reservations', 'amount', '1'],
    ['usage_reservations', 'reserved_at', 'now()'],
    ['limit_overrides', 'value', 'null'],
    ['plan_limits', 'value', 'null'],
    ['resources', 'suspended_because', 'null'],
    ['resources', 'created_at', 'now()'],
    ['platform', 'revision', '9'],
    ['permissions', 'scope', "'workspace'"],
    ['resource_types', 'strict', 'false'],
    ['publishers', 'verified_at', 'now()'],
    ['publishers', 'verified_by', "'moderator'"],
    ['publishers', 'status', "'active'"],
    ['templates', 'is_official', 'true'],
    ['templates', 'listing_reason', 'null'],
    ['templates', 'rating_sum', '9'],
    ['templates', 'rating_count', '9'],
    ['templates', 'rating_score', '5'],
    ['templates', 'install_count', '9'],
    ['templates', 'popularity', '9'],
    ['templates', 'trending', '9'],
    ['template_versions', 'approved_integrity', 'integrity'],
    ['template_days', 'downloads', '9'],
    ['moderation_cases', 'decided_by', "'user:eve'"],
    ['moderation_cases', 'proposed', "'{}'"],
    ['moderation_cases', 'checks', "'[]'"],
    ['removals', 'lifted_at', 'now()'],
    ['prices', 'amount_minor', '1'],
    ['orders', 'status', "'paid'"],
    ['orders', 'amount_minor', '1'],
    ['entitlements', 'revoked_at', 'null'],
    ['entitlements', 'expires_at', 'null'],
    ['installations', 'quarantined_at', 'null'],
    ['ratings', 'hidden_at', 'null'],
  ])('of %s: %s is not written inside an organization', async (table, column, value) => {
    const statement = `update ${table} set ${column} = ${value}`
    expect(await attempt('latchkey_app', mine.id, statement)).toBe(REFUSED)
  })

  test.each([
    ['organizations', 'revision', '9'],
    ['organizations', 'id', 'id'],
    ['platform', 'revision', '9'],
    ['policy_changes', 'revision', '9'],
  ])(
    'of %s: %s is written by triggers, not by the platform either',
    async (table, column, value) => {
      const statement = `update ${table} set ${column} = ${value}`
      expect(await attempt('latchkey_platform', null, statement)).toBe(REFUSED)
    },
  )

  test('that a request may not name are refused in an insert, too', async () => {
    const statement = `insert into resources (organization_id, type, id, suspended_because)
      values ('${mine.id}', 'scenario', 'new', null)`
    expect(await attempt('latchkey_app', mine.id, statement)).toBe(REFUSED)
    const organization = `insert into organizations (id, slug, name) values ('${mine.id}', 'x', 'x')`
    expect(await attempt('latchkey_app', mine.id, organization)).toBe(REFUSED)
  })
})

describe('what nobody may', () => {
  test('is editing the log of events, not even its owner', async () => {
    const statements = [
      "update audit_events set actor = 'user:eve'",
      'delete from audit_events',
      'truncate audit_events',
    ]
    for (const statement of statements) {
      for (const role of ['latchkey_app', 'latchkey_platform'] as const)
        expect([statement, await attempt(role, mine.id, statement)]).toEqual([statement, REFUSED])
      const owner = await server.sql
        .unsafe(statement)
        .catch((error: { code: string }) => error.code)
      expect([statement, owner]).toEqual([statement, 'LK010'])
    }
  })

  test('is writing the log of another organization, or of the platform', async () => {
    for (const log of [theirs.id, 'platform']) {
      const insert = `insert into audit_events (log, id, event, actor, resource, request_id, revision, body, leaf, mac, mac_key_id)
        values ('${log}', 'evt_' || repeat('0', 26), 'x', 'x', 'x', 'x', 1, 'x', sha256(''), sha256(''), 'x')`
      expect(await attempt('latchkey_app', mine.id, insert)).toBe(REFUSED)
    }
  })

  test('is truncating a table that decides', async () => {
    const policy = ['members', 'grants', 'roles', 'teams', 'resources', 'workspaces', 'api_keys']
    for (const table of [...policy, 'team_members', 'role_permissions', 'role_inherits']) {
      const owner = await server.sql
        .unsafe(`truncate ${table} cascade`)
        .catch((error: { code: string }) => error.code)
      expect([table, owner]).toEqual([table, 'LK007'])
      for (const role of ['latchkey_app', 'latchkey_platform'] as const)
        expect(await attempt(role, mine.id, `truncate ${table} cascade`)).toBe(REFUSED)
    }
  })

  test('is raising a revision by hand inside an organization', async () => {
    const statement = `select raise_revision('${theirs.id}', array['x'])`
    expect(await attempt('latchkey_app', mine.id, statement)).toBe(REFUSED)
  })

  test('is leaving the role: a request cannot become the owner again', async () => {
    const statement = 'alter table members disable row level security'
    expect(await attempt('latchkey_app', mine.id, statement)).toBe(REFUSED)
    const create = 'create table mine (id int)'
    expect(await attempt('latchkey_app', mine.id, create)).toBe(REFUSED)
  })
})
