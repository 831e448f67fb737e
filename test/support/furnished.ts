import { newId } from '../../src/platform/id.ts'
import { enqueue } from '../../src/platform/jobs/enqueue.ts'
import { testJob } from './jobs.ts'
import type { TestServer } from './server.ts'

/** An organization with something in every table, made through the API. */
export const furnish = async (server: TestServer) => {
  const organization = await server.newOrganization()
  const { path } = organization
  const make = async (what: string, body?: unknown, headers = {}) => {
    const answer = await server.call(what, body, { headers })
    if (answer.status >= 300) throw new Error(`${what}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  await make(`PUT ${path}/members/bob`, { roles: ['viewer'] })
  await make(`PUT ${path}/teams/all`, {})
  await make(`PUT ${path}/teams/eng`, { parent: 'all' })
  await make(`PUT ${path}/teams/eng/members/bob`)
  await make(`PUT ${path}/roles/base`, { permissions: ['scenario:read'] })
  await make(`PUT ${path}/roles/lead`, { permissions: ['scenario:update'], inherits: ['base'] })
  const workspace = await make(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
  await make(`PUT ${path}/resources/scenario/1`, { workspace: 'lab' })
  const scenario = { name: 'Greet', definition: { nodes: [] } }
  await make(`POST ${path}/workspaces/lab/scenarios`, scenario)
  const key = await make(`POST ${path}/api-keys`, { name: 'ci', roles: ['viewer'] })
  const idempotencyKey = { 'idempotency-key': organization.id }
  const grant = await make(
    `POST ${path}/grants`,
    { subject: 'user:bob', permission: 'scenario:delete' },
    idempotencyKey,
  )
  const hook = { url: 'https://hooks.example.com/all' }
  const webhook = await make(`POST ${path}/webhooks`, hook)
  await make(`POST ${path}/webhooks/${webhook.id}/test`)
  await make(`POST ${path}/invitations`, { email: 'zoe@example.com', roles: ['viewer'] })
  await make(`POST ${path}/domains`, { domain: `${organization.slug}.example` })
  // Only an owner offers ownership, and none of them is here.
  await server.sql`insert into ownership_offers (organization_id, offered_by, offered_to, expires_at)
    values (${organization.id}, 'user:alice', 'user:bob', now() + interval '7 days')`
  const report = { meter: 'executions', amount: 1 }
  await make(`POST ${path}/usage`, report, idempotencyKey)
  await make(`POST ${path}/usage/reservations`, { ...report, expiresInSeconds: 60 })
  await make(`PUT ${path}/limits`, { limits: { maxTemplates: 9 }, reason: 'a test' })
  await furnishJobs(server, organization.id)
  await furnishMarketplace(server, { ...organization, workspaceId: workspace.id, make })
  return {
    ...organization,
    workspaceId: workspace.id as string,
    keyId: key.id as string,
    grantId: grant.id as string,
  }
}

/** A job that waits and one that was canceled while it ran. */
const furnishJobs = ({ sql }: TestServer, organizationId: string) =>
  sql.begin(async (tx) => {
    await enqueue(tx, 'default', testJob({ n: 1 }), { organizationId })
    const { id } = await enqueue(tx, 'default', testJob({ n: 2 }), { organizationId })
    await tx`select * from start_jobs(${tx.json([{ id }])}, 'wrk_test', 'embedded', 60000)`
    await tx`select * from cancel_jobs(${[id]}::text[], 'a test')`
    await tx`insert into job_turns (queue, tenant) values ('default', ${organizationId})`
  })

type Furnishing = {
  id: string
  slug: string
  path: string
  workspaceId: string
  make: (what: string, body?: unknown) => Promise<{ id: string }>
}

/** A private template that was submitted once, and what else there can be of one. */
const furnishMarketplace = async (
  { sql }: TestServer,
  { id: organizationId, slug, path, workspaceId, make }: Furnishing,
) => {
  await make(`PUT ${path}/publisher`, { handle: slug, domain: `${slug}.example` })
  const { id: templateId } = await make(`POST ${path}/templates`, {
    slug: 'greet',
    name: 'Greet',
    description: 'Greets.',
    category: 'other',
    license: 'MIT',
    definition: { nodes: [] },
  })
  const template = `${path}/templates/${templateId}`
  await make(`PUT ${template}/visibility`, { visibility: 'unlisted' })
  await make(`POST ${template}/versions/0.1.0/submit`, {})
  await make(`POST ${template}/versions/0.1.0/withdraw`)
  await make(`PUT ${template}/visibility`, { visibility: 'private' })
  const [{ versionId, scenarioId }] = (await sql`
    select v.id as version_id, s.id as scenario_id from template_versions v, scenarios s
    where v.template_id = ${templateId} and s.organization_id = ${organizationId}`) as never as [
    Record<string, string>,
  ]
  const [advisory, price, order] = [newId('adv'), newId('prc'), newId('ord')]
  const installation = newId('ins')
  await sql`insert into advisories (id, template_id, affected_range, severity, summary, published_by)
    values (${advisory}, ${templateId}, '*', 'low', 'A test.', 'user:alice')`
  await sql`insert into prices (id, template_id, currency, amount_minor) values (${price}, ${templateId}, 'EUR', 100)`
  await sql`insert into orders (id, organization_id, ordered_by, template_id, price_id, amount_minor, currency, license,
      template_name, provider)
    values (${order}, ${organizationId}, 'user:alice', ${templateId}, ${price}, 100, 'EUR', 'MIT', 'Greet', 'manual')`
  await sql`insert into entitlements (id, organization_id, template_id, source, order_id, license)
    values (${newId('ent')}, ${organizationId}, ${templateId}, 'purchase', ${order}, 'MIT')`
  await sql`insert into installations (id, organization_id, workspace_id, template_id, version_id, scenario_id,
      consented_capabilities, consented_by, installer)
    values (${installation}, ${organizationId}, ${workspaceId}, ${templateId}, ${versionId!}, ${scenarioId!}, '[]', 'user:alice', '{}')`
  await sql`insert into installation_history (installation_id, step, version_id, definition, inputs, consented_capabilities)
    values (${installation}, 1, ${versionId!}, '{}', '{}', '[]')`
  await sql`insert into ratings (template_id, subject, organization_id, version_id, stars)
    values (${templateId}, 'user:alice', ${organizationId}, ${versionId!}, 5)`
  await sql`insert into template_day_organizations (template_id, day, what, organization_id)
    values (${templateId}, current_date, 'views', ${organizationId})`
}
