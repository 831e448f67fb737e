import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startWorkers, type Workers } from '../../src/platform/jobs/workers.ts'
import { silentLog } from '../../src/platform/log.ts'
import { createSend } from '../../src/platform/node/send.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'
import { hang, type Received, type Receiver, startReceiver, status } from './receiver.ts'

let server: TestServer
let receiver: Receiver
let workers: Workers
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
let path: string
let counted = 0
/** The endpoint of one test. */
let endpoint: string

const startAll = () =>
  startWorkers({
    ...server.jobs.runOptions(server.sql),
    log: silentLog,
    version: 'test',
    queues: ['webhook', 'maintenance'],
    pollMs: 50,
  })

beforeAll(async () => {
  receiver = await startReceiver()
  server = await startTestServer({
    webhookPrivateAddresses: true,
    send: createSend({ privateAddresses: true }),
    publicUrl: 'https://latchkey.example.com/',
  })
  workers = await startAll()
  server.jobs.onWake((queues) => workers.wake(queues))
})
afterAll(async () => {
  await workers.stop(100)
  await receiver.stop()
  await server.drop()
})
beforeEach(async () => {
  organization = await server.newOrganization()
  path = organization.path
  endpoint = `/hook-${++counted}`
})

type Made = { id: string; secret: string }
const create = async (body: object = {}, at = endpoint): Promise<Made> => {
  const { status: code, body: made } = await server.call(`POST ${path}/webhooks`, {
    url: receiver.url(at),
    events: ['team.*'],
    ...body,
  })
  expect([code, made.detail]).toEqual([201, undefined])
  return made
}
const change = async (slug = 'eng') => {
  const answer = await server.call(`PUT ${path}/teams/${slug}`, { name: slug })
  expect(answer.status).toBeLessThan(300)
}
const verify = (secret: string, { body, headers }: Received) =>
  new Webhook(secret).verify(body, headers as Record<string, string>) as Record<string, unknown>
const deliveries = async ({ id }: { id: string }, query = '') =>
  (await server.call(`GET ${path}/webhooks/${id}/deliveries${query}`)).body.items
const read = async ({ id }: { id: string }) =>
  (await server.call(`GET ${path}/webhooks/${id}`)).body
/** The newest delivery, once it is in a state. */
const inState = async (webhook: { id: string }, state: string, attempts = 1) => {
  let found: Record<string, unknown> | undefined
  await until(async () => {
    ;[found] = await deliveries(webhook)
    // What waits has its next time once its job is put back.
    const isPlanned = state !== 'pending' || found?.nextAttemptAt !== null
    return found?.state === state && (found.attempts as number) >= attempts && isPlanned
  })
  return found!
}
/** Brings on the time of what waits: the clock of the queue is a column. */
const hurry = async (webhook: { id: string }) => {
  await server.sql`update jobs set run_at = clock_timestamp() where state = 'scheduled' and id in (
    select job_id from webhook_deliveries where webhook_id = ${webhook.id})`
  workers.wake(['webhook'])
}
/** When the next attempt is planned, in seconds from the last one. */
const plannedSeconds = ({ nextAttemptAt, attemptedAt }: Record<string, unknown>) =>
  (Date.parse(nextAttemptAt as string) - Date.parse(attemptedAt as string)) / 1000

describe('a change', () => {
  test('arrives, signed, as the CloudEvent of its event in the log', async () => {
    const { secret } = await create()
    await change()
    const [message] = await receiver.take(endpoint)
    const [logged] = await server.sql`
      select id, body from audit_events where log = ${organization.id} and event = 'team.created'`
    const event = JSON.parse(logged!.body)
    expect(verify(secret, message!)).toEqual({
      specversion: '1.0',
      id: logged!.id,
      source: `https://latchkey.example.com/organizations/${organization.id}`,
      type: 'latchkey.team.created',
      subject: 'team:eng',
      time: event.at,
      datacontenttype: 'application/json',
      data: expect.objectContaining({
        organizationId: organization.id,
        actor: event.actor,
        resource: 'team:eng',
        before: null,
        after: event.after,
        requestId: event.requestId,
        revision: event.revision,
      }),
    })
    expect(message!.headers).toMatchObject({
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'user-agent': 'Latchkey/0.0.0-test',
      'webhook-id': logged!.id,
    })
    const seconds = Number(message!.headers['webhook-timestamp'])
    expect(Math.abs(seconds - Date.now() / 1000)).toBeLessThan(30)
  })

  test('arrives at those who listen for it, and at nobody else', async () => {
    const all = await create({ events: ['*'] }, `${endpoint}-all`)
    const exact = await create({ events: ['team.updated'] }, `${endpoint}-exact`)
    const noun = await create({ events: ['team.*', 'grant.created'] }, `${endpoint}-noun`)
    await create({ events: ['grant.*'] }, `${endpoint}-other`)
    await create({ events: ['*'], enabled: false }, `${endpoint}-off`)
    await change()
    await change()
    await receiver.take(`${endpoint}-noun`, 2)
    await receiver.take(`${endpoint}-exact`)
    const typesAt = (name: string, { secret }: Made) =>
      receiver.at(`${endpoint}-${name}`).map((each) => verify(secret, each).type)
    await until(() => typesAt('all', all).includes('latchkey.team.updated'))
    expect(typesAt('exact', exact)).toEqual(['latchkey.team.updated'])
    expect(typesAt('noun', noun).toSorted()).toEqual([
      'latchkey.team.created',
      'latchkey.team.updated',
    ])
    for (const name of ['other', 'off']) expect(receiver.at(`${endpoint}-${name}`)).toEqual([])
  })

  test('of another organization never arrives', async () => {
    const mine = await create({ events: ['*'] })
    const other = await server.newOrganization()
    await server.call(`PUT ${other.path}/teams/eng`, {})
    await change('mine')
    await until(() => receiver.at(endpoint).some(({ body }) => body.includes('team:mine')))
    for (const each of receiver.at(endpoint))
      expect(verify(mine.secret, each).data).toMatchObject({ organizationId: organization.id })
    expect(receiver.at(endpoint).filter(({ body }) => body.includes(other.id))).toEqual([])
  })

  test('that is rolled back sends nothing, and neither does one that is refused', async () => {
    const webhook = await create()
    const refused = await server.call(`PUT ${path}/teams/eng`, { parent: 'nowhere' })
    expect(refused.status).toBe(422)
    const undone = new Error('undone')
    const context = { ...server.context, organizationId: organization.id }
    const event = { id: `evt_${'0'.repeat(26)}`, event: 'team.created', resource: 'team:x' }
    const jobs = async () => {
      const [row] = await server.sql`
        select count(*)::int as n from (select id from jobs where organization_id = ${organization.id}
          union all select id from finished_jobs where organization_id = ${organization.id}) all_jobs`
      return row!.n as number
    }
    const before = await jobs()
    await server.sql
      .begin(async (tx) => {
        await server.outgoing.recorded(tx, context, event)
        throw undone
      })
      .catch((error: unknown) => expect(error).toBe(undone))
    expect(await jobs()).toBe(before)
    await change()
    await receiver.take(endpoint)
    expect(await deliveries(webhook)).toHaveLength(1)
  })

  test('costs one question to the database where nobody listens, and no job', async () => {
    const statements: string[] = []
    const context = { ...server.context, organizationId: organization.id }
    const event = { id: `evt_${'0'.repeat(26)}`, event: 'team.created', resource: 'team:x' }
    await server.sql.begin(async (tx) => {
      const counting = new Proxy(tx, {
        apply: (target, self, [texts, ...values]: [readonly string[], ...unknown[]]) => {
          statements.push(texts.join('?'))
          return Reflect.apply(target, self, [texts, ...values])
        },
      })
      await server.outgoing.recorded(counting, context, event)
      await server.outgoing.recorded(counting, { ...context, organizationId: '' }, event)
    })
    expect(statements).toHaveLength(1)
    const jobs = await server.sql`select 1 from jobs where organization_id = ${organization.id}`
    expect(jobs).toHaveLength(0)
  })

  test('is fanned out once, however often its job runs', async () => {
    const webhook = await create()
    await change()
    await receiver.take(endpoint)
    const [first] = await deliveries(webhook)
    const options = server.jobs.runOptions(server.sql)
    const handler = server.jobs.handlers.get('webhook.fan-out')!
    const again = (once: () => Promise<boolean>) =>
      handler.run({
        payload: { eventId: first.eventId },
        context: options.contextOf({ organizationId: organization.id } as never),
        once,
      } as never)
    // The job says that it has done this; and even if it did not, the message is there.
    expect(await again(async () => false)).toEqual({ deliveries: 0 })
    expect(await again(async () => true)).toEqual({ deliveries: 0 })
    expect(await deliveries(webhook)).toHaveLength(1)
    expect(receiver.at(endpoint)).toHaveLength(1)
  })

  test('is not held up when the queue of the organization is full', async () => {
    await create()
    await server.sql`insert into job_minutes (queue, tenant, minute, shard, added)
      values ('webhook', ${organization.id}, now(), 0, 200000)`
    await change('still')
    const { body } = await server.call(`GET ${path}/teams`)
    expect(body.items.map(({ slug }: { slug: string }) => slug)).toEqual(['still'])
  })
})

describe('a message that fails', () => {
  test('is sent again under the same id with a time of its own, until it arrives', async () => {
    const webhook = await create()
    receiver.answer(endpoint, status(500))
    await change()
    await receiver.take(endpoint)
    const failed = await inState(webhook, 'pending', 1)
    expect(failed).toMatchObject({
      responseStatus: 500,
      error: 'the endpoint answered 500',
      attempts: 1,
    })
    expect(plannedSeconds(failed)).toBeGreaterThan(4)
    expect(plannedSeconds(failed)).toBeLessThan(6.5)
    expect((await read(webhook)).failingSince).toBeTruthy()
    await new Promise((resolve) => setTimeout(resolve, 1000))
    receiver.answer(endpoint, status(204))
    await hurry(webhook)
    const [first, second] = await receiver.take(endpoint, 2)
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id'])
    expect(second!.body).toBe(first!.body)
    expect(second!.headers['webhook-timestamp']).not.toBe(first!.headers['webhook-timestamp'])
    for (const each of [first!, second!]) verify(webhook.secret, each)
    const arrived = await inState(webhook, 'delivered', 2)
    expect(arrived).toMatchObject({
      attempts: 2,
      responseStatus: 204,
      error: null,
      nextAttemptAt: null,
    })
    expect((await read(webhook)).failingSince).toBeNull()
  })

  test('waits as long as the endpoint asks, but never less than planned', async () => {
    const webhook = await create()
    receiver.answer(endpoint, status(503, { 'retry-after': '600' }))
    await change()
    const asked = await inState(webhook, 'pending', 1)
    expect(Math.round(plannedSeconds(asked) / 10)).toBe(60)
    receiver.answer(endpoint, status(429, { 'retry-after': '1' }))
    await hurry(webhook)
    const eager = await inState(webhook, 'pending', 2)
    expect(plannedSeconds(eager)).toBeGreaterThan(265)
    receiver.answer(endpoint, status(500, { 'retry-after': '86400' }))
    await hurry(webhook)
    expect(plannedSeconds(await inState(webhook, 'pending', 3))).toBeLessThan(2100)
  })

  test('has failed for good after ten attempts', async () => {
    const webhook = await create()
    receiver.answer(endpoint, status(500))
    await change()
    await inState(webhook, 'pending', 1)
    await server.sql`update jobs set attempts = 9 where id in (
      select job_id from webhook_deliveries where webhook_id = ${webhook.id})`
    await hurry(webhook)
    const failed = await inState(webhook, 'failed', 2)
    expect(failed).toMatchObject({ error: 'the endpoint answered 500', nextAttemptAt: null })
    const left = await server.sql`select 1 from jobs where organization_id = ${organization.id}`
    expect(left).toHaveLength(0)
  })

  test('is not led elsewhere by a redirect', async () => {
    const webhook = await create()
    receiver.answer(endpoint, status(307, { location: receiver.url('/elsewhere') }))
    await change()
    expect(await inState(webhook, 'pending', 1)).toMatchObject({
      responseStatus: 307,
      error: 'the endpoint answered 307',
    })
    expect(receiver.at('/elsewhere')).toEqual([])
  })

  test('because nobody is there is told so', async () => {
    const webhook = await create({ url: 'http://127.0.0.1:9999/' })
    await change()
    const failed = await inState(webhook, 'pending', 1)
    expect(failed).toMatchObject({ responseStatus: null })
    expect(failed.error).toMatch(/ECONNREFUSED/)
  })

  test('because the endpoint is gone turns the webhook off at once', async () => {
    const webhook = await create()
    const watcher = await create({ events: ['webhook.disabled'] }, `${endpoint}-watcher`)
    receiver.answer(endpoint, status(410))
    await change()
    await inState(webhook, 'failed')
    expect(await read(webhook)).toMatchObject({
      enabled: false,
      disabledReason: 'The endpoint answered 410: it is gone.',
    })
    const [told] = await receiver.take(`${endpoint}-watcher`)
    expect(verify(watcher.secret, told!).data).toMatchObject({
      actor: 'service:latchkey',
      resource: `webhook:${webhook.id}`,
      after: { enabled: false },
    })
    await change('later')
    expect(receiver.at(endpoint)).toHaveLength(1)
  })

  test('for five days, and not one arrived, turns the webhook off', async () => {
    const webhook = await create()
    receiver.answer(endpoint, status(500))
    await change()
    await inState(webhook, 'pending', 1)
    await server.sql`update webhooks set failing_since = now() - interval '121 hours' where id = ${webhook.id}`
    await hurry(webhook)
    await inState(webhook, 'failed', 2)
    expect(await read(webhook)).toMatchObject({
      enabled: false,
      disabledReason: 'No message arrived for 5 days.',
    })
    const events = await server.sql`select actor, body from audit_events
      where log = ${organization.id} and event = 'webhook.disabled'`
    expect(events.map(({ actor }) => actor)).toEqual(['service:latchkey'])
    expect(events[0]!.body).not.toContain('whsec_')
    const anew = await server.call(`PATCH ${path}/webhooks/${webhook.id}`, { enabled: true })
    expect(anew.body).toMatchObject({ enabled: true, disabledReason: null, failingSince: null })
  })
})

describe('a webhook that is no more', () => {
  test.each([
    ['disabled', 'PATCH', { enabled: false }],
    ['deleted', 'DELETE', undefined],
  ])('gets nothing of what still waits when it is %s', async (_, method, body) => {
    const webhook = await create()
    receiver.answer(endpoint, status(500))
    await change()
    await inState(webhook, 'pending', 1)
    await server.call(`${method} ${path}/webhooks/${webhook.id}`, body)
    await hurry(webhook)
    const rows = () => server.sql`
      select state, error, attempts from webhook_deliveries where webhook_id = ${webhook.id}`
    await until(async () => (await rows())[0]!.state === 'failed')
    expect((await rows())[0]).toEqual({
      state: 'failed',
      error: 'the webhook is disabled',
      attempts: 1,
    })
    expect(receiver.at(endpoint)).toHaveLength(1)
  })
})

describe('a secret that is rotated', () => {
  test('signs beside the new one during the overlap, and not afterwards', async () => {
    const { id, secret: former } = await create()
    const rotated = await server.call(`POST ${path}/webhooks/${id}/rotate`, {})
    const { secret: present, overlapUntil } = rotated.body
    const hours = (Date.parse(overlapUntil) - Date.now()) / 3_600_000
    expect(Math.round(hours)).toBe(24)
    await change('one')
    const [both] = await receiver.take(endpoint)
    for (const secret of [former, present]) verify(secret, both!)
    await server.sql`update webhooks set previous_until = now() where id = ${id}`
    await change('two')
    const [, alone] = await receiver.take(endpoint, 2)
    verify(present, alone!)
    expect(() => verify(former, alone!)).toThrow('No matching signature')
    expect((await read({ id })).overlapUntil).toBeNull()
  })

  test('stops at once without an overlap', async () => {
    const { id, secret: former } = await create()
    const { body } = await server.call(`POST ${path}/webhooks/${id}/rotate`, { overlapSeconds: 0 })
    expect(body.overlapUntil).toBeNull()
    await change()
    const [message] = await receiver.take(endpoint)
    verify(body.secret, message!)
    expect(() => verify(former, message!)).toThrow('No matching signature')
  })
})

describe('a test', () => {
  test('arrives whatever the webhook listens to', async () => {
    const webhook = await create({ events: ['grant.created'] })
    const { status: code, body } = await server.call(`POST ${path}/webhooks/${webhook.id}/test`)
    expect([code, body.event, body.state]).toEqual([202, 'webhook.test', 'pending'])
    const [message] = await receiver.take(endpoint)
    expect(verify(webhook.secret, message!)).toMatchObject({
      id: body.eventId,
      type: 'latchkey.webhook.test',
      subject: `webhook:${webhook.id}`,
    })
    await inState(webhook, 'delivered')
  })
})

describe('a replay', () => {
  test('sends the same message under the same id', async () => {
    const webhook = await create()
    await change()
    const first = await inState(webhook, 'delivered')
    const what = `POST ${path}/webhooks/${webhook.id}/deliveries/${first.id}/replay`
    const { status: code, body } = await server.call(what)
    expect([code, body.replayOf, body.eventId]).toEqual([202, first.id, first.eventId])
    const [one, two] = await receiver.take(endpoint, 2)
    expect(two!.headers['webhook-id']).toBe(one!.headers['webhook-id'])
    expect(two!.body).toBe(one!.body)
    verify(webhook.secret, two!)
    await until(async () => (await deliveries(webhook, '?state=delivered')).length === 2)
  })

  test('of a time sends what failed, once, and not what arrived since', async () => {
    const since = new Date(Date.now() - 60_000).toISOString()
    const webhook = await create()
    receiver.answer(endpoint, status(410))
    await change('a')
    await inState(webhook, 'failed')
    await server.call(`PATCH ${path}/webhooks/${webhook.id}`, { enabled: true })
    receiver.answer(endpoint, status(200))
    await change('b')
    await inState(webhook, 'delivered')
    const replay = async (body: object) =>
      (await server.call(`POST ${path}/webhooks/${webhook.id}/replay`, { since, ...body })).body
    expect(await replay({ until: since })).toEqual({ count: 0, nextSince: null })
    expect(await replay({})).toEqual({ count: 1, nextSince: null })
    await until(async () => (await deliveries(webhook, '?state=delivered')).length === 2)
    expect(receiver.at(endpoint).at(-1)!.body).toContain('team:a')
    expect(await replay({})).toEqual({ count: 0, nextSince: null })
    expect(await replay({ state: 'delivered' })).toEqual({ count: 1, nextSince: null })
    await receiver.take(endpoint, 4)
    expect(receiver.at(endpoint).at(-1)!.body).toContain('team:b')
  })

  test('takes a thousand at once, and says where to go on', async () => {
    const webhook = await create({ enabled: false })
    await server.sql`
      insert into webhook_deliveries (id, organization_id, webhook_id, event_id, event, body, state, created_at)
      select 'dlv_' || lpad(n::text, 26, '0'), ${organization.id}, ${webhook.id}, 'evt_' || lpad(n::text, 26, '0'),
        'team.created', '{}', 'failed', now() - interval '1 hour' + n * interval '1 second'
      from generate_series(1, 1001) n`
    const what = `POST ${path}/webhooks/${webhook.id}/replay`
    const since = new Date(Date.now() - 86_400_000).toISOString()
    const refused = await server.call(what, { since })
    expect([refused.status, refused.body.code]).toEqual([409, 'webhook-disabled'])
    await server.call(`PATCH ${path}/webhooks/${webhook.id}`, { enabled: true })
    const first = await server.call(what, { since })
    expect(first.body.count).toBe(1000)
    const next = await server.call(what, { since: first.body.nextSince })
    expect(next.body).toEqual({ count: 1, nextSince: null })
    const [row] = await server.sql`select count(distinct event_id)::int as messages
      from webhook_deliveries where webhook_id = ${webhook.id} and replay_of is not null`
    expect(row!.messages).toBe(1001)
    // Enough is seen; the others need not be waited for.
    await server.sql`delete from jobs where organization_id = ${organization.id} and state <> 'running'`
  })
})

describe('an endpoint that fails again and again', () => {
  const pause = async (webhook: { id: string }) => {
    for (let count = 1; count <= 5; count++) {
      await change(`t${count}`)
      await receiver.take(endpoint, count)
    }
    await until(async () => (await read(webhook)).pausedUntil !== null)
  }

  test('is left alone, tried with one message, and then gets all', async () => {
    const webhook = await create()
    receiver.answer(endpoint, status(500))
    await pause(webhook)
    const seconds = (Date.parse((await read(webhook)).pausedUntil) - Date.now()) / 1000
    expect(seconds).toBeGreaterThan(50)
    expect(seconds).toBeLessThan(61)
    await change('during')
    await until(async () => {
      const [row] = await server.sql`select count(*)::int as n from jobs
        where organization_id = ${organization.id} and state = 'scheduled' and deliveries > 0 and attempts = 0`
      return row!.n === 1
    })
    expect(receiver.at(endpoint)).toHaveLength(5)
    // The pause is over; six wait. One goes first, fails, and the next pause is longer.
    const over = async () => {
      await server.sql`update webhooks set broken_until = now() where id = ${webhook.id}`
      await hurry(webhook)
    }
    await over()
    await receiver.take(endpoint, 6)
    await until(async () => {
      const { pausedUntil } = await read(webhook)
      return Date.parse(pausedUntil) - Date.now() > 90_000
    })
    expect(receiver.at(endpoint)).toHaveLength(6)
    receiver.answer(endpoint, status(200))
    await over()
    await until(async () => (await read(webhook)).failingSince === null)
    await until(async () => {
      await hurry(webhook)
      return (await deliveries(webhook, '?state=delivered')).length === 6
    })
    expect(await read(webhook)).toMatchObject({ pausedUntil: null, enabled: true })
  })

  test('is tried at once by a test, and by enabling it', async () => {
    const webhook = await create()
    receiver.answer(endpoint, status(500))
    await pause(webhook)
    receiver.answer(endpoint, status(200))
    await server.call(`POST ${path}/webhooks/${webhook.id}/test`)
    await inState(webhook, 'delivered')
    expect(await read(webhook)).toMatchObject({ pausedUntil: null, failingSince: null })
    await server.sql`update webhooks set broken_until = now() + interval '1 hour', failures = 9 where id = ${webhook.id}`
    const { body } = await server.call(`PATCH ${path}/webhooks/${webhook.id}`, { enabled: true })
    expect(body.pausedUntil).toBeNull()
    await change('after')
    await until(() => receiver.at(endpoint).some((each) => each.body.includes('team:after')))
  })

  test('is not left alone for longer because of what was under way when the pause began', async () => {
    const webhook = await create()
    const held = Promise.withResolvers<() => void>()
    receiver.answer(endpoint, (response) => held.resolve(() => response.writeHead(500).end()))
    await change()
    const answerNow = await held.promise
    await server.sql`update webhooks set failures = 5, failing_since = now(),
      broken_until = now() + interval '1 minute' where id = ${webhook.id}`
    const { pausedUntil } = await read(webhook)
    answerNow()
    await inState(webhook, 'pending')
    expect((await read(webhook)).pausedUntil).toBe(pausedUntil)
  })

  test('or hangs is not in the way of another one', async () => {
    const slow = await create()
    await create({}, `${endpoint}-quick`)
    receiver.answer(endpoint, hang)
    for (let count = 1; count <= 12; count++) await change(`t${count}`)
    // Long before the first of those that hang is given up.
    await receiver.take(`${endpoint}-quick`, 12, 10_000)
    await receiver.take(endpoint)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(receiver.at(endpoint).length).toBeLessThanOrEqual(4)
    const [row] = await server.sql`select count(*)::int as running from jobs j
      join webhook_deliveries d on d.job_id = j.id where d.webhook_id = ${slow.id} and j.state = 'running'`
    expect(row!.running).toBeLessThanOrEqual(4)
    receiver.answer(endpoint, status(200))
  })
})

describe('an outcome', () => {
  const rowOf = async ({ id }: { id: string }) => {
    const [row] = await server.sql`
      select state, attempts from webhook_deliveries where webhook_id = ${id}`
    return row
  }

  test('of a worker that lost the job in the meantime is not written', async () => {
    const webhook = await create()
    const held = Promise.withResolvers<() => void>()
    receiver.answer(endpoint, (response) => held.resolve(() => response.writeHead(200).end()))
    await change()
    const answerNow = await held.promise
    // Another worker has it by now.
    await server.sql`update jobs set fence = fence + 1 where state = 'running' and id in (
      select job_id from webhook_deliveries where webhook_id = ${webhook.id})`
    answerNow()
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(await rowOf(webhook)).toEqual({ state: 'pending', attempts: 0 })
    await server.sql`delete from jobs where organization_id = ${organization.id}`
  })

  test('of a worker that stops is none: the message is sent again, and nobody is blamed', async () => {
    const webhook = await create()
    receiver.answer(endpoint, hang)
    await change()
    await receiver.take(endpoint)
    await workers.stop(0)
    expect(await rowOf(webhook)).toEqual({ state: 'pending', attempts: 0 })
    expect((await read(webhook)).failingSince).toBeNull()
    receiver.answer(endpoint, status(200))
    workers = await startAll()
    expect(await inState(webhook, 'delivered')).toMatchObject({ attempts: 1 })
    expect(receiver.at(endpoint)).toHaveLength(2)
  })
})

describe('the log of deliveries', () => {
  test('shows what was sent and what came back, the newest first', async () => {
    const webhook = await create()
    receiver.answer(endpoint, (response) =>
      response.writeHead(202).end(`\u0000${'ä'.repeat(5000)}`),
    )
    await change('a')
    await inState(webhook, 'delivered')
    await change('b')
    await until(async () => (await deliveries(webhook, '?state=delivered')).length === 2)
    const [second, first] = await deliveries(webhook)
    expect(first.id < second.id).toBe(true)
    expect(first).toMatchObject({
      event: 'team.created',
      state: 'delivered',
      attempts: 1,
      responseStatus: 202,
      error: null,
      replayOf: null,
    })
    expect(first.durationMs).toBeGreaterThanOrEqual(0)
    const whole = await server.call(`GET ${path}/webhooks/${webhook.id}/deliveries/${first.id}`)
    expect(whole.body).toEqual({
      ...first,
      body: receiver.at(endpoint)[0]!.body,
      responseBody: `\ufffd${'ä'.repeat(1023)}`,
    })
    expect(await deliveries(webhook, '?event=team.updated')).toEqual([])
    expect(await deliveries(webhook, '?state=failed')).toEqual([])
  })

  test('is kept for thirty days', async () => {
    const webhook = await create()
    for (const slug of ['a', 'b', 'c']) await change(slug)
    await until(async () => (await deliveries(webhook, '?state=delivered')).length === 3)
    const [third, second, first] = await deliveries(webhook)
    await server.sql`update webhook_deliveries set created_at = now() - interval '721 hours' where id = ${first.id}`
    // Its job was canceled before it was sent.
    await server.sql`update webhook_deliveries set created_at = now() - interval '2 hours', state = 'pending',
      delivered_at = null where id = ${second.id}`
    const { handlers } = server.jobs
    const signal = new AbortController().signal
    const pruned = await handlers
      .get('webhooks.prune')!
      .run({ context: server.context, signal } as never)
    expect(pruned).toEqual({ deleted: 1 })
    const left = await deliveries(webhook)
    expect(left.map(({ id, state }: Record<string, string>) => [id, state])).toEqual([
      [third.id, 'delivered'],
      [second.id, 'failed'],
    ])
  })
})
