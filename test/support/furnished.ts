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
