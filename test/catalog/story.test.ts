import { afterAll, beforeAll, expect, test } from 'vitest'
import { stripePayments } from '../../src/orders/stripe.ts'
import { startStripe } from '../orders/stripe-stub.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let stripe: Awaited<ReturnType<typeof startStripe>>
beforeAll(async () => {
  stripe = await startStripe()
  server = await startTestServer({ payments: stripePayments(stripe.settings) })
})
afterAll(async () => {
  await server.drop()
  await stripe.stop()
})

const must = async (what: string, body?: unknown, options = {}) => {
  const answer = await server.call(what, body, options)
  expect([what, answer.status < 300, answer.body?.detail]).toEqual([what, true, undefined])
  return answer.body
}
const refused = async (what: string, body?: unknown, options = {}) => {
  const answer = await server.call(what, body, options)
  return [answer.status, answer.body.code]
}

test('a template from the scenario of one organization to the workspace of another, and back', async () => {
  const [author, buyer] = [await server.newOrganization(), await server.newOrganization()]
  for (const { path } of [author, buyer])
    await must(`POST ${path}/workspaces`, { name: 'Sales', slug: 'sales' })

  // A scenario with what is nobody else's business in it.
  const token = ['xox', 'b-', '123456789012-', '123456789012-', 'AbCdEfGhIjKlMnOpQrStUvWx'].join('')
  const greet = (text: string) => ({
    nodes: [
      {
        ...{ id: 'say', name: 'Say', type: 'n8n-nodes-base.slack' },
        parameters: { text, token },
        credentials: { slackApi: { id: '7', name: 'Slack of us' } },
      },
    ],
    pinData: { Say: [{ mail: 'someone@example.com' }] },
  })
  const scenarios = `${author.path}/workspaces/sales/scenarios`
  const scenario = await must(`POST ${scenarios}`, { name: 'Greeter', definition: greet('Hi') })

  // Published: handle, template, price, submission.
  await must(`PUT ${author.path}/publisher`, { handle: `author-${author.slug.slice(-12)}` })
  const templates = `${author.path}/templates`
  const template = await must(`POST ${templates}`, {
    slug: 'greeter',
    name: `Greeter ${author.slug}`,
    summary: 'Says something in Slack',
    category: 'communication',
    tags: ['greeting'],
    license: 'MIT',
    fromScenario: scenario.id,
  })
  const own = `${templates}/${template.id}`
  const key = await author.keyFor({ roles: ['admin'] })
  const draft = await must(`GET ${own}/versions/0.1.0`)
  expect(draft.inputs.map(({ type }: { type: string }) => type).toSorted()).toEqual([
    'connection',
    'secret',
  ])
  expect(JSON.stringify(await must(`GET ${own}/versions/0.1.0/content`))).not.toMatch(
    /xoxb|someone@example|Slack of us/,
  )
  await must(`PUT ${own}/visibility`, { visibility: 'public' })
  await must(`PUT ${own}/prices`, { prices: [{ currency: 'EUR', amountMinor: 1900 }] })
  await must(`POST ${own}/versions/0.1.0/submit`, { note: 'our first one' }, { key })
  const forBuyer = `organization=${buyer.slug}`
  const catalog = `/v1/templates/${template.id}`
  expect(await refused(`GET ${catalog}?${forBuyer}`)).toEqual([404, 'template-not-found'])

  // Moderated: by somebody else, for the bytes that were seen.
  const moderate = async () => {
    const [waiting] = (
      await must(`GET /v1/marketplace/moderation/cases?state=open&template=${template.id}`)
    ).items
    const seen = await must(`GET /v1/marketplace/moderation/cases/${waiting.id}`)
    const { integrity } = seen.submitted
    await must(`POST /v1/marketplace/moderation/cases/${waiting.id}/approve`, { integrity })
    return integrity
  }
  await moderate()

  // Found, and not to be had for nothing.
  const found = await must(
    `GET /v1/templates?${forBuyer}&q=greeter+${author.slug}&category=communication&currency=EUR&priceMax=2000`,
  )
  expect(found.items.map(({ id }: { id: string }) => id)).toEqual([template.id])
  expect(JSON.stringify(found)).not.toContain('nodes')
  expect(await refused(`GET ${catalog}/versions/0.1.0/content?${forBuyer}`)).toEqual([
    402,
    'purchase-required',
  ])

  // Bought: the provider says that the money is there.
  const order = await must(
    `POST ${buyer.path}/orders`,
    { template: template.id, currency: 'EUR' },
    { headers: { 'idempotency-key': crypto.randomUUID() } },
  )
  expect(order.checkoutUrl).toMatch(/^https:/)
  const send = ({ body, signature }: { body: string; signature: string }) =>
    server.call('POST /v1/marketplace/payments/stripe/events', body, {
      key: null,
      headers: { 'stripe-signature': signature, 'content-type': 'application/json' },
    })
  const session = { client_reference_id: order.id, payment_intent: `pi_${order.id}` }
  const paid = { ...session, payment_status: 'paid', amount_total: 1900, currency: 'eur' }
  const event = stripe.event('checkout.session.completed', paid)
  const forged = event.signature.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
  expect((await send({ ...event, signature: forged })).status).toBe(401)
  expect((await send(event)).status).toBe(200)

  // Installed: what it will do is shown, and agreed to.
  await must(`PUT ${buyer.path}/resources/connection/our-slack`, { workspace: 'sales' })
  const values = Object.fromEntries(
    draft.inputs.map(({ name }: { name: string }) => [name, 'our-slack']),
  )
  const wish = { template: template.id, workspace: 'sales', inputs: values }
  const shown = await server.call(`POST ${buyer.path}/installations`, wish)
  expect([shown.status, shown.body.code]).toEqual([409, 'consent-required'])
  expect(shown.body.capabilities).toContain('integration:slack')
  const installation = await must(`POST ${buyer.path}/installations`, {
    ...wish,
    consent: shown.body.consent,
  })
  const at = `${buyer.path}/installations/${installation.id}`
  const theirs = `${buyer.path}/workspaces/sales/scenarios/${installation.scenario}`
  const textOf = async () => (await must(`GET ${theirs}`)).definition.nodes[0].parameters.text
  expect(await textOf()).toBe('Hi')

  // Changed here and there: updated with an answer to the conflict, and taken back.
  const { definition } = await must(`GET ${theirs}`)
  definition.nodes[0].parameters.text = 'Moin'
  await must(`PATCH ${theirs}`, { definition })
  await must(`PATCH ${scenarios}/${scenario.id}`, { definition: greet('Hello') })
  await must(`POST ${own}/versions`, {
    version: '0.1.1',
    fromScenario: scenario.id,
    changelog: 'A better greeting',
  })
  await must(`POST ${own}/versions/0.1.1/submit`, {}, { key })
  await moderate()
  const preview = await must(`GET ${at}/update`)
  expect(preview).toMatchObject({
    to: '0.1.1',
    changelog: 'A better greeting',
    conflicts: [{ base: 'Hi', theirs: 'Hello', ours: 'Moin' }],
  })
  expect(await refused(`POST ${at}/update`, {})).toEqual([409, 'update-conflicts'])
  const [{ path }] = preview.conflicts
  await must(`POST ${at}/update`, { resolutions: [{ path, take: 'theirs' }] })
  expect(await textOf()).toBe('Hello')
  await must(`POST ${at}/rollback`, {})
  expect(await textOf()).toBe('Moin')

  // Rated by who has it, given back, and kept from new downloads; what is installed stays.
  await must(`POST ${buyer.path}/orders/${order.id}/request-refund`, { reasonCode: 'unused' })
  const refund = { amountMinor: 1900, reasonCode: 'unused' }
  await must(`POST /v1/marketplace/moderation/orders/${order.id}/refund`, refund)
  const charge = { payment_intent: `pi_${order.id}`, amount_refunded: 1900, currency: 'eur' }
  await send(stripe.event('charge.refunded', charge))
  expect((await must(`GET ${buyer.path}/orders/${order.id}`)).status).toBe('refunded')
  expect(await refused(`GET ${catalog}/versions/0.1.1/content?${forBuyer}`)).toEqual([
    402,
    'purchase-required',
  ])
  expect(await refused(`POST ${at}/update`, {})).toEqual([402, 'purchase-required'])
  expect(await textOf()).toBe('Moin')
})
