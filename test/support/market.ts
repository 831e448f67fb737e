import { newId } from '../../src/platform/id.ts'
import { integrityOf } from '../../src/templates/integrity.ts'
import { putListed } from './listed.ts'
import type { TestServer } from './server.ts'

/** What the samples of the marketplace need, each in the state in which it can be changed. */
export type PreparedMarket = Awaited<ReturnType<typeof prepareMarket>>

type Server = Pick<TestServer, 'call' | 'sql' | 'newOrganization'>

/**
 * A publisher's listed templates, what an organization has installed and ordered of them, and cases that wait.
 * @param advised one of the organization's own templates, which gets an advisory
 */
export const prepareMarket = async (
  server: Server,
  { path, advised }: { path: string; advised: string },
) => {
  const must = async (...given: Parameters<TestServer['call']>) => {
    const answer = await server.call(...given)
    if (answer.status >= 300) throw new Error(`${given[0]}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const publisher = await server.newOrganization()
  const list = () => putListed(server, publisher.id)
  const [listed, down, paid, given] = [await list(), await list(), await list(), await list()]
  await server.sql`update templates set listing = 'taken_down' where id = ${down.id}`
  const blocked = await list()
  await server.sql`update template_versions set status = 'blocked' where id = ${blocked.versionId}`

  const submission = async () => {
    const [versionId, caseId] = [newId('ver'), newId('cas')]
    const { id } = await list()
    const definition = '{"nodes":[{}]}'
    const integrity = await integrityOf(definition)
    await server.sql`insert into template_versions ${server.sql({
      ...{ id: versionId, templateId: id, major: 2, minor: 0, patch: 0, definition, integrity },
      ...{ sizeBytes: definition.length, status: 'submitted', capabilities: server.sql.json([]) },
    })}`
    await server.sql`insert into moderation_cases (id, kind, template_id, version_id, opened_by)
      values (${caseId}, 'submission', ${id}, ${versionId}, 'user:alice')`
    return { caseId, integrity }
  }

  const installations = `${path}/installations`
  const body = { template: listed.id, workspace: 'lab' }
  const install = async (key?: string) =>
    (await must(`POST ${installations}`, body, key === undefined ? {} : { key })).id as string
  const { secret: key } = await must(`POST ${path}/api-keys`, {
    name: 'installer',
    permissions: ['template:install', 'template:read', 'scenario:create'],
  })
  await must(`PUT ${path}/installation-policy`, { approval: true })
  const pending = [await install(key), await install(key)] as const
  await must(`PUT ${path}/installation-policy`, {})
  const active = [await install(), await install(), await install(), await install()] as const
  const [newer, definition] = [newId('ver'), '{"nodes":[{"id":"b"}]}']
  await server.sql`insert into template_versions ${server.sql({
    ...{ id: newer, templateId: listed.id, major: 1, minor: 0, patch: 1, definition },
    ...{
      integrity: await integrityOf(definition),
      approvedIntegrity: await integrityOf(definition),
    },
    ...{ sizeBytes: definition.length, status: 'published', capabilities: server.sql.json([]) },
  })}`
  await must(`POST ${installations}/${active[1]}/update`, {})
  const advisory = newId('adv')
  await server.sql`update installations set quarantined_at = now(), quarantine_reason = 'a test', quarantined_by = ${advisory}
    where id = ${active[2]}`

  const warning = { affectedRange: '<1.0.0', severity: 'low', summary: 'a test' }
  await server.sql`insert into advisories ${server.sql({
    ...{ id: `adv_${advised.slice(4)}`, templateId: advised, publishedBy: 'user:alice' },
    ...warning,
  })}`

  const price = async (template: string) =>
    must(`PUT ${publisher.path}/templates/${template}/prices`, {
      prices: [{ currency: 'EUR', amountMinor: 100 }],
    })
  const order = async (isPaid: boolean) => {
    const { id } = await list()
    await price(id)
    const made = await must(`POST ${path}/orders`, { template: id, currency: 'EUR' })
    const paying = `/v1/marketplace/moderation/orders/${made.id}/mark-paid`
    if (isPaid) await must(`POST ${paying}`, { reference: `invoice ${made.id}` })
    return made.id as string
  }
  await price(paid.id)
  const entitlement = await must('POST /v1/marketplace/moderation/entitlements', {
    ...{ organization: path.split('/').at(-1), template: given.id, reason: 'a test' },
  })
  const raters = { templateId: listed.id, subject: 'user:zoe', versionId: listed.versionId }
  const rated = await server.newOrganization()
  await server.sql`insert into ratings ${server.sql({ ...raters, organizationId: rated.id, stars: 5 })}`
  return {
    publisher,
    ...{
      listed: listed.id,
      versionId: listed.versionId,
      down: down.id,
      blocked: blocked.versionId,
    },
    ...{ paid: paid.id, free: given.id, entitlement: entitlement.id as string },
    ...{ cases: [await submission(), await submission()] as const, pending, active },
    orders: {
      pending: [await order(false), await order(false)] as const,
      paid: [await order(true), await order(true)] as const,
    },
  }
}
