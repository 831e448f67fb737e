import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { stripePayments } from '../../src/orders/stripe.ts'
import { putListed } from '../support/listed.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { startStripe } from './stripe-stub.ts'

let server: TestServer
let stripe: Awaited<ReturnType<typeof startStripe>>
let buyer: Awaited<ReturnType<TestServer['newOrganization']>>
let publisher: Awaited<ReturnType<TestServer['newOrganization']>>
let template: string

beforeAll(async () => {
  stripe = await startStripe()
  server = await startTestServer({ payments: stripePayments(stripe.settings) })
})
afterAll(async () => {
  await server.drop()
  await stripe.stop()
})
beforeEach(async () => {
  ;[publisher, buyer] = [await server.newOrganization(), await server.newOrganization()]
  template = (await putListed(server, publisher.id)).id
  const prices = [
    { currency: 'EUR', amountMinor: 1000 },
    { currency: 'JPY', amountMinor: 1500 },
  ]
  await must(`PUT ${publisher.path}/templates/${template}/prices`, { prices })
})

const must = async (...given: Parameters<TestServer['call']>) => {
  const { status, body } = await server.call(...given)
  expect([given[0], status < 300, body?.detail]).toEqual([given[0], true, undefined])
  return body
}
const order = (body: object = {}, headers = {}) =>
  server.call(`POST ${buyer.path}/orders`, { template, currency: 'EUR', ...body }, { headers })
const read = (id: string) => must(`GET ${buyer.path}/orders/${id}`)
const live = async () =>
  (await must(`GET ${buyer.path}/entitlements`)).items.filter(
    (each: { revokedAt: unknown; suspendedAt: unknown }) => !each.revokedAt && !each.suspendedAt,
  )
const send = ({ body, signature }: { body: string; signature: string }) =>
  server.call('POST /v1/marketplace/payments/stripe/events', body, {
    key: null,
    headers: { 'stripe-signature': signature, 'content-type': 'application/json' },
  })
const paid = (id: string, over: object = {}) => ({
  client_reference_id: id,
  payment_status: 'paid',
  payment_intent: `pi_${id}`,
  amount_total: 1000,
  currency: 'eur',
  ...over,
})
const pay = (id: string, over: object = {}) =>
  send(stripe.event('checkout.session.completed', paid(id, over)))
const outcomes = async (id: string) =>
  (
    await server.sql`select outcome from payment_events where order_id = ${id} order by received_at`
  ).map(({ outcome }) => outcome)

describe('an order', () => {
  test('is made at the price and under the license of its moment', async () => {
    const { status, body } = await order()
    expect([status, body]).toMatchObject([
      201,
      { status: 'pending', amountMinor: 1000, currency: 'EUR', license: 'MIT', provider: 'stripe' },
    ])
    expect(body.checkoutUrl).toMatch(/^https:\/\/pay\.example\.com\/cs_/)
    const asked = stripe.asked.find(({ idempotencyKey }) => idempotencyKey === body.id)!
    expect(asked.form).toMatchObject({
      client_reference_id: body.id,
      'line_items[0][price_data][currency]': 'eur',
      'line_items[0][price_data][unit_amount]': '1000',
    })
    await must(`PUT ${publisher.path}/templates/${template}/prices`, {
      prices: [{ currency: 'EUR', amountMinor: 1 }],
    })
    await server.sql`update templates set license = 'GPL-3.0-only' where id = ${template}`
    expect(await read(body.id)).toMatchObject({ amountMinor: 1000, license: 'MIT' })
  })

  test('in a currency without a price, of what is free, own or bought, is refused', async () => {
    const refused = async (body: object, path = buyer.path) => {
      const answer = await server.call(`POST ${path}/orders`, {
        template,
        currency: 'EUR',
        ...body,
      })
      return [answer.status, answer.body.code]
    }
    expect(await refused({ currency: 'USD' })).toEqual([422, 'currency-unavailable'])
    expect(await refused({ currency: 'eur' })).toEqual([400, 'invalid-request'])
    expect(await refused({ currency: 'XQX' })).toEqual([400, 'invalid-request'])
    expect(await refused({ amountMinor: 1 })).toEqual([400, 'invalid-request'])
    expect(await refused({}, publisher.path)).toEqual([409, 'own-template'])
    const free = await putListed(server, publisher.id)
    expect(await refused({ template: free.id })).toEqual([409, 'template-free'])
    const hidden = await putListed(server, publisher.id, {
      visibility: 'private',
      listing: 'draft',
    })
    expect(await refused({ template: hidden.id })).toEqual([404, 'template-not-found'])
    const { body } = await order()
    await pay(body.id)
    expect(await refused({})).toEqual([409, 'bought-already'])
  })

  test('repeated with its key is one order and one checkout', async () => {
    const headers = { 'idempotency-key': crypto.randomUUID() }
    const answers = await Promise.all(Array.from({ length: 8 }, () => order({}, headers)))
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1)
    expect(
      stripe.asked.filter(({ idempotencyKey }) => idempotencyKey === answers[0]!.body.id),
    ).toHaveLength(1)
  })

  test('stands where the provider is away, and goes on when it is back', async () => {
    const headers = { 'idempotency-key': crypto.randomUUID() }
    stripe.setAway(true)
    const refused = await order({}, headers)
    stripe.setAway(false)
    expect([refused.status, refused.body.code]).toEqual([503, 'payment-provider-unavailable'])
    const { status, body } = await order({}, headers)
    expect([status, body.id]).toEqual([201, refused.body.order])
    expect(body.checkoutUrl).toMatch(/^https/)
  })

  test('is given up while it is pending, and is nobody else’s', async () => {
    const { body } = await order()
    const stranger = await server.newOrganization()
    expect((await server.call(`GET ${stranger.path}/orders/${body.id}`)).status).toBe(404)
    expect((await server.call(`POST ${stranger.path}/orders/${body.id}/cancel`)).status).toBe(404)
    expect((await must(`POST ${buyer.path}/orders/${body.id}/cancel`)).status).toBe('canceled')
    const again = await server.call(`POST ${buyer.path}/orders/${body.id}/cancel`)
    expect([again.status, again.body.code]).toEqual([409, 'order-not-pending'])
    // The money comes all the same: whoever paid has it.
    await pay(body.id)
    expect([(await read(body.id)).status, (await live()).length]).toEqual(['paid', 1])
  })
})

describe('a payment', () => {
  test('that is signed, in the amount and currency of the order, entitles, once', async () => {
    const { body } = await order()
    const event = stripe.event('checkout.session.completed', paid(body.id))
    expect((await send(event)).body).toEqual({ received: true, duplicate: false })
    const repeated = await Promise.all([send(event), send(event), send(event)])
    expect(repeated.map((each) => [each.status, each.body.duplicate])).toEqual(
      Array(3).fill([200, true]),
    )
    expect(await live()).toMatchObject([{ source: 'purchase', order: body.id, license: 'MIT' }])
    expect(await read(body.id)).toMatchObject({ status: 'paid', checkoutUrl: null })
    const [told] =
      await server.sql`select actor, organization_id from audit_events where event = 'order.paid'
      and resource = ${`order:${body.id}`}`
    expect(told).toEqual({ actor: 'service:payments-stripe', organizationId: buyer.id })
  })

  test('of eight at once is one', async () => {
    const { body } = await order()
    const events = Array.from({ length: 8 }, () =>
      stripe.event('checkout.session.completed', paid(body.id)),
    )
    const answers = await Promise.all(events.map(send))
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200))
    expect((await outcomes(body.id)).toSorted()).toEqual([
      'paid',
      ...Array(7).fill('settled-before'),
    ])
    expect(await live()).toHaveLength(1)
  })

  test.each<[string, () => { secret?: string; atMs?: number }]>([
    ['with another secret', () => ({ secret: 'whsec_other' })],
    ['that is six minutes old', () => ({ atMs: Date.now() - 6 * 60_000 })],
    ['from six minutes ahead', () => ({ atMs: Date.now() + 6 * 60_000 })],
  ])('signed %s is refused, and nothing is kept', async (_, over) => {
    const { body } = await order()
    const answer = await send(stripe.event('checkout.session.completed', paid(body.id), over()))
    expect([answer.status, answer.body.code]).toEqual([401, 'signature-invalid'])
    expect([await outcomes(body.id), await live()]).toEqual([[], []])
  })

  test('whose body, time or signature was touched is refused', async () => {
    const { body } = await order()
    const { body: text, signature } = stripe.event('checkout.session.completed', paid(body.id))
    const touched = [
      { body: text.replace('1000', '0001'), signature },
      { body: `${text} `, signature },
      {
        body: text,
        signature: signature.replace(/t=\d+/, `t=${Math.floor(Date.now() / 1000) + 1}`),
      },
      { body: text, signature: signature.replace('v1=', 'v0=') },
      { body: text, signature: signature.slice(0, -2) },
      { body: text, signature: '' },
      { body: text, signature: 't=,v1=' },
    ]
    for (const each of touched) expect((await send(each)).status).toBe(401)
    expect(await live()).toEqual([])
  })

  test.each([
    ['less', { amount_total: 999 }],
    ['more', { amount_total: 1001 }],
    ['another currency', { currency: 'jpy' }],
    ['a fraction', { amount_total: 999.5 }],
    ['nothing', { amount_total: 0 }],
  ])('of %s entitles to nothing', async (_, over) => {
    const { body } = await order()
    expect((await pay(body.id, over)).status).toBe(200)
    expect([(await read(body.id)).status, await live()]).toEqual(['pending', []])
  })

  test('that is not there yet, failed or expired entitles to nothing', async () => {
    const { body } = await order()
    await pay(body.id, { payment_status: 'unpaid' })
    expect((await read(body.id)).status).toBe('pending')
    await send(stripe.event('checkout.session.async_payment_failed', paid(body.id)))
    expect((await read(body.id)).status).toBe('failed')
    const other = (await order()).body
    await send(stripe.event('checkout.session.expired', paid(other.id)))
    expect((await read(other.id)).status).toBe('canceled')
    expect(await live()).toEqual([])
  })

  test('of an order nobody made, or of a kind nobody knows, is taken in and does nothing', async () => {
    const unknown = await pay(`ord_${'0'.repeat(26)}`)
    expect([unknown.status, unknown.body.received]).toEqual([200, true])
    expect((await send(stripe.event('customer.created', {}))).status).toBe(200)
    expect((await send(stripe.event('checkout.session.completed', { id: 1 }))).status).toBe(200)
  })

  test('by another provider than the one that is set up is not there', async () => {
    const answer = await server.call(
      'POST /v1/marketplace/payments/manual/events',
      {},
      { key: null },
    )
    expect([answer.status, answer.body.code]).toEqual([404, 'provider-not-found'])
  })
})

describe('money back', () => {
  const refund = (id: string, amountMinor: number, options = {}) =>
    server.call(
      `POST /v1/marketplace/moderation/orders/${id}/refund`,
      { amountMinor, reasonCode: 'broken' },
      options,
    )
  const refunded = (id: string, amount: number) =>
    send(
      stripe.event('charge.refunded', {
        payment_intent: `pi_${id}`,
        amount_refunded: amount,
        currency: 'eur',
      }),
    )

  test('is asked for by the buyer, ordered by an operator, and done when the provider says so', async () => {
    const { body } = await order()
    expect((await refund(body.id, 1000)).body.code).toBe('order-not-paid')
    await pay(body.id)
    const asked = await must(`POST ${buyer.path}/orders/${body.id}/request-refund`, {
      reasonCode: 'broken',
    })
    expect(asked).toMatchObject({ status: 'paid', refundReasonCode: 'broken' })
    expect((await live()).length).toBe(1)
    expect((await refund(body.id, 1000)).body.status).toBe('paid')
    expect(stripe.asked.at(-1)).toMatchObject({
      path: '/v1/refunds',
      form: { payment_intent: `pi_${body.id}`, amount: '1000' },
    })
    await refunded(body.id, 1000)
    expect(await read(body.id)).toMatchObject({ status: 'refunded', refundedMinor: 1000 })
    expect(await live()).toEqual([])
    // The same event late, and a payment repeated, give nothing back.
    await refunded(body.id, 1000)
    await pay(body.id)
    expect(await live()).toEqual([])
  })

  test('in part leaves what was bought; never more than was paid', async () => {
    const { body } = await order()
    await pay(body.id)
    expect((await refund(body.id, 1001)).body.code).toBe('refund-too-large')
    expect((await refund(body.id, 400)).status).toBe(200)
    await refunded(body.id, 400)
    expect(await read(body.id)).toMatchObject({ status: 'paid', refundedMinor: 400 })
    expect((await live()).length).toBe(1)
    expect((await refund(body.id, 601)).body.code).toBe('refund-too-large')
    await refunded(body.id, 2000)
    expect((await read(body.id)).refundedMinor).toBe(400)
  })

  test('is nothing a buyer, or anybody of an organization, can order', async () => {
    const { body } = await order()
    await pay(body.id)
    const key = await buyer.keyFor({ roles: ['admin'] })
    expect((await refund(body.id, 1000, { key })).status).toBe(403)
    const gift = { organization: buyer.slug, template, reason: 'please' }
    const given = await server.call('POST /v1/marketplace/moderation/entitlements', gift, { key })
    expect(given.status).toBe(403)
  })

  test('a dispute keeps from downloading until it is won, and ends it where it is lost', async () => {
    const { body } = await order()
    await pay(body.id)
    const dispute = (type: string, status?: string) =>
      send(stripe.event(`charge.dispute.${type}`, { payment_intent: `pi_${body.id}`, status }))
    await dispute('created')
    expect([(await read(body.id)).status, await live()]).toEqual(['disputed', []])
    await dispute('closed', 'won')
    expect([(await read(body.id)).status, (await live()).length]).toEqual(['paid', 1])
    await dispute('created')
    await dispute('closed', 'lost')
    expect([(await read(body.id)).status, await live()]).toEqual(['refunded', []])
  })
})

describe('a template that was paid for twice', () => {
  const twice = async () => {
    const [one, other] = [(await order()).body.id, (await order()).body.id]
    await pay(one)
    await pay(other)
    return [one, other] as [string, string]
  }
  const orders = async () => (await live()).map(({ order: id }: { order: string }) => id)
  const refunded = (id: string) => {
    const charge = { payment_intent: `pi_${id}`, amount_refunded: 1000, currency: 'eur' }
    return send(stripe.event('charge.refunded', charge))
  }
  const disputed = (id: string, type: string, status?: string) =>
    send(stripe.event(`charge.dispute.${type}`, { payment_intent: `pi_${id}`, status }))

  test('stays when one of the two is refunded, whichever it is', async () => {
    const [one, other] = await twice()
    expect(await orders()).toEqual([one])
    await refunded(one)
    expect(await orders()).toEqual([other])
    await refunded(other)
    expect(await orders()).toEqual([])
  })

  test('stays when the one that does not entitle is refunded', async () => {
    const [one, other] = await twice()
    await refunded(other)
    expect(await orders()).toEqual([one])
  })

  test('is downloaded while one of the two is disputed', async () => {
    const [one, other] = await twice()
    await disputed(one, 'created')
    expect(await orders()).toEqual([other])
    await disputed(one, 'closed', 'won')
    await refunded(other)
    expect(await orders()).toEqual([one])
  })

  test('is downloaded again where the other was refunded before the dispute was won', async () => {
    const [one, other] = await twice()
    await disputed(one, 'created')
    await refunded(other)
    expect(await orders()).toEqual([])
    await disputed(one, 'closed', 'won')
    expect(await orders()).toEqual([one])
  })

  test('is downloaded by the second where the first is disputed before', async () => {
    const [one, other] = [(await order()).body.id, (await order()).body.id]
    await pay(one)
    await disputed(one, 'created')
    expect(await orders()).toEqual([])
    await pay(other)
    await disputed(one, 'closed', 'lost')
    expect(await orders()).toEqual([other])
  })

  test('is not given back where an operator took it', async () => {
    const [one, other] = await twice()
    const [entitlement] = await live()
    await must(`DELETE /v1/marketplace/moderation/entitlements/${entitlement.id}`)
    await refunded(one)
    expect(await orders()).toEqual([])
    expect((await read(other)).status).toBe('paid')
    // Nor is it where what was bought after that is refunded or disputed.
    await refunded(other)
    const [third, fourth] = [(await order()).body.id, (await order()).body.id]
    await pay(third)
    await must(`DELETE /v1/marketplace/moderation/entitlements/${(await live())[0].id}`)
    await pay(fourth)
    await disputed(third, 'created')
    await disputed(third, 'closed', 'won')
    expect(await orders()).toEqual([fourth])
    await refunded(fourth)
    expect(await orders()).toEqual([])
  })

  test('is entitled to once, when one is paid while the other is refunded', async () => {
    // Both have changed their order before either looks at the other’s, if nothing keeps them apart.
    await server.sql.unsafe(`create function wait() returns trigger language plpgsql as
      'begin perform pg_sleep(0.05); return new; end'; create trigger wait before update of status on orders
      for each row execute function wait()`)
    for (let round = 0; round < 3; round++) {
      const [one, other] = [(await order()).body.id, (await order()).body.id]
      await pay(one)
      const answers = await Promise.all([pay(other), refunded(one)])
      expect(answers.map(({ status }) => status)).toEqual([200, 200])
      expect(await orders()).toEqual([other])
      await refunded(other)
    }
    await server.sql`drop function wait cascade`
  })
})

test('what is bought outlives what was given for a while', async () => {
  const { body } = await order()
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString()
  const gift = { organization: buyer.slug, template, reason: 'to try', expiresAt }
  await must('POST /v1/marketplace/moderation/entitlements', gift)
  await pay(body.id)
  expect(await live()).toMatchObject([{ source: 'purchase', order: body.id, expiresAt: null }])
})

describe('by direct SQL', () => {
  const asBuyer = (statement: string) =>
    server.sql
      .begin(async (tx) => {
        await tx`select set_config('role', 'latchkey_app', true), set_config('latchkey.organization', ${buyer.id}, true)`
        await tx.unsafe(statement)
      })
      .then(
        () => 'done',
        (error: { code: string }) => error.code,
      )

  test('an organization neither pays nor entitles itself', async () => {
    const { body } = await order()
    for (const statement of [
      `update orders set status = 'paid' where id = '${body.id}'`,
      `update orders set amount_minor = 1 where id = '${body.id}'`,
      `insert into entitlements (id, organization_id, template_id, source, license)
       values ('ent_01h455vb4pex5vsknk084sn02q', '${buyer.id}', '${template}', 'grant', 'MIT')`,
      `insert into payment_events (provider, event_id, kind, outcome) values ('stripe', 'x', 'x', 'x')`,
      `update prices set amount_minor = 1`,
    ])
      expect([statement, await asBuyer(statement)]).toEqual([statement, '42501'])
  })
})
