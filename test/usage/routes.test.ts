import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createOperatorKey } from '../../src/api-keys/service.ts'
import { type FreeServer, startOnFree, usageOf } from './fixtures.ts'

let server: FreeServer
let organization: Awaited<ReturnType<FreeServer['newOrganization']>>
let usage: ReturnType<typeof usageOf>

beforeAll(async () => {
  server = await startOnFree()
})
afterAll(() => server.drop())
beforeEach(async () => {
  organization = await server.newOrganization()
  usage = usageOf(server, organization)
})

const get = (what: string, key?: string) =>
  server.call(`GET ${organization.path}/${what}`, undefined, key ? { key } : {})

describe('limits', () => {
  test('are those of the plan, each with what is used of it', async () => {
    const answer = await get('limits')
    expect(answer.status).toBe(200)
    expect(Object.keys(answer.body)).toEqual(['items'])
    expect(answer.body.items.map((each: { limit: string }) => each.limit)).toEqual([
      ...['maxMembers', 'maxScenarios', 'maxExecutionsPerMonth', 'maxStorageGB'],
      ...['maxIntegrations', 'maxWebhooks', 'maxTemplates'],
    ])
    expect(answer.body.items[0]).toEqual({
      limit: 'maxMembers',
      value: 5,
      source: 'plan',
      overrideEndsAt: null,
      used: 1,
      reserved: 0,
      remaining: 4,
    })
  })

  test.each([
    ['free', [5, 10, 1000, 1, 5, 10, 5]],
    ['pro', [25, 100, 10_000, 10, 20, 100, 50]],
    ['enterprise', [1000, 10_000, 1_000_000, 1000, 1000, 10_000, 1000]],
    ['custom', [null, null, null, null, null, null, null]],
  ])('of plan %s', async (plan, values) => {
    expect((await usage.plan(plan)).status).toBe(200)
    const { body } = await get('limits')
    expect(body.items.map((each: { value: number }) => each.value)).toEqual(values)
  })

  test('that are full refuse with what they are and what is used', async () => {
    for (const user of ['b', 'c', 'd']) expect((await usage.join(user)).status).toBeLessThan(300)
    expect((await usage.invite('e@example.com')).status).toBe(201)
    const refused = [
      await usage.join('f'),
      await usage.invite('f@example.com'),
      await server.call(`POST ${organization.path}/import`, {
        members: [{ user: 'f', roles: [] }],
      }),
      await server.call(`POST ${organization.path}/import?dryRun=true`, {
        members: [{ user: 'f', roles: [] }],
      }),
    ]
    for (const answer of refused) {
      expect([answer.status, answer.body.code, answer.body.limit]).toEqual([
        409,
        'limit-reached',
        { key: 'maxMembers', value: 5, used: 5 },
      ])
      expect(answer.headers.get('content-type')).toBe('application/problem+json')
    }
    expect(await usage.seats()).toEqual({ counted: 5, held: 5 })
    const bulk = await server.call(`POST ${organization.path}/invitations/bulk`, {
      csv: 'email\ng@example.com\ne@example.com',
    })
    expect(bulk.body.lines.map(({ code }: { code: string }) => code)).toEqual([
      'limit-reached',
      'invitation-pending',
    ])
  })

  test('leave services and suspended members out, and let no suspended one back in when full', async () => {
    for (const user of ['b', 'c', 'd', 'e']) await usage.join(user)
    expect((await usage.join('service:ci')).status).toBeLessThan(300)
    const member = `${organization.path}/members/b`
    expect((await server.call(`PATCH ${member}`, { status: 'suspended' })).status).toBe(200)
    expect((await usage.join('f')).status).toBeLessThan(300)
    const back = await server.call(`PATCH ${member}`, { status: 'active' })
    expect([back.status, back.body.code]).toEqual([409, 'limit-reached'])
    expect((await server.call(`DELETE ${organization.path}/members/f`)).status).toBe(204)
    expect((await server.call(`PATCH ${member}`, { status: 'active' })).status).toBe(200)
    expect(await usage.seats()).toEqual({ counted: 5, held: 5 })
  })

  test('count a whole import as one', async () => {
    const members = (count: number) => ({
      members: Array.from({ length: count }, (_, n) => ({ user: `m${n}`, roles: [] })),
    })
    const full = await server.call(`POST ${organization.path}/import`, members(5))
    expect([full.status, full.body.limit]).toEqual([409, { key: 'maxMembers', value: 5, used: 1 }])
    expect((await server.call(`POST ${organization.path}/import`, members(4))).status).toBe(200)
    expect(await usage.seats()).toEqual({ counted: 5, held: 5 })
  })

  test('are not in the way of invitations that are over: those are expired, and the log is told', async () => {
    for (const name of ['b', 'c', 'd', 'e']) await usage.invite(`${name}@example.com`)
    expect((await usage.join('f')).status).toBe(409)
    await server.sql`update invitations set expires_at = now() - interval '1 second'
      where organization_id = ${organization.id} and email in ('b@example.com', 'c@example.com')`
    expect((await usage.join('f')).status).toBeLessThan(300)
    expect(await usage.seats()).toEqual({ counted: 4, held: 4 })
    const expire = server.jobs.handlers.get('invitations.expire')!
    const signal = new AbortController().signal
    await expire.run({ context: server.context, signal, payload: {} } as never)
    const events = await server.sql`
      select event from audit_events where log = ${organization.id} and event = 'invitation.expired'`
    expect(events).toHaveLength(2)
  })

  test('count webhooks, and deleting one makes room', async () => {
    const url = 'https://hooks.example.com/x'
    const create = () => server.call(`POST ${organization.path}/webhooks`, { url })
    const made = await Promise.all(Array.from({ length: 12 }, create))
    expect(made.filter(({ status }) => status === 201)).toHaveLength(10)
    const refused = made.find(({ status }) => status === 409)!
    expect(refused.body.limit).toEqual({ key: 'maxWebhooks', value: 10, used: 10 })
    const { id } = made.find(({ status }) => status === 201)!.body
    await server.call(`DELETE ${organization.path}/webhooks/${id}`)
    expect((await create()).status).toBe(201)
  })
})

describe('overrides', () => {
  test('count instead of the plan until they end', async () => {
    const endsAt = new Date(Date.now() + 86_400_000).toISOString()
    const answer = await usage.override({ maxMembers: 7, maxStorageGB: null }, { endsAt })
    expect(answer.status).toBe(200)
    expect(answer.body.items[0]).toEqual({
      limit: 'maxMembers',
      value: 7,
      source: 'override',
      overrideEndsAt: endsAt,
      used: 1,
      reserved: 0,
      remaining: 6,
    })
    expect(answer.body.items[3]).toMatchObject({ value: null, remaining: null, source: 'override' })
    expect((await usage.plan('pro')).status).toBe(200)
    expect(await usage.limit('maxMembers')).toMatchObject({ value: 7 })
    await server.sql`update limit_overrides set expires_at = now() where organization_id = ${organization.id}`
    expect(await usage.limit('maxMembers')).toMatchObject({ value: 25, source: 'plan' })
  })

  test('that are zero refuse, that are null allow, and an end that is not ahead ends them', async () => {
    await usage.override({ maxExecutionsPerMonth: 0 })
    expect((await usage.report('executions', 1)).body).toMatchObject({ allowed: false, limit: 0 })
    await usage.override({ maxExecutionsPerMonth: null })
    expect((await usage.report('executions', 1_000_000)).body).toEqual({
      allowed: true,
      limit: null,
      used: 1_000_000,
      remaining: null,
      resetsAt: expect.stringMatching(/-01T00:00:00.000Z$/),
    })
    await usage.override({ maxExecutionsPerMonth: 5 }, { endsAt: new Date().toISOString() })
    expect(await usage.limit('maxExecutionsPerMonth')).toMatchObject({
      value: 1000,
      source: 'plan',
    })
  })

  test('leave those alone that are not named', async () => {
    await usage.override({ maxMembers: 7 })
    await usage.override({ maxTemplates: 7 })
    expect(await usage.limit('maxMembers')).toMatchObject({ value: 7, source: 'override' })
  })

  test.each([
    [{ limits: { maxMembers: -1 }, reason: 'x' }, 400],
    [{ limits: { maxMembers: 1.5 }, reason: 'x' }, 400],
    [{ limits: { maxMembers: '9' }, reason: 'x' }, 400],
    [{ limits: {}, reason: 'x' }, 400],
    [{ limits: [], reason: 'x' }, 400],
    [{ limits: { maxMembers: 9 }, reason: ' ' }, 400],
    [{ limits: { maxMembers: 9 } }, 400],
    [{ limits: { maxMember: 9 }, reason: 'x' }, 422],
    [{ limits: { constructor: 9 }, reason: 'x' }, 422],
    ['{"limits":{"__proto__":9},"reason":"x"}', 422],
  ])('%j are %i', async (body, status) => {
    const answer = await server.call(`PUT ${organization.path}/limits`, body)
    expect(answer.status).toBe(status)
    if (status === 422) expect(answer.body.code).toBe('limit-unknown')
  })

  test('name the nearest limit', async () => {
    const { body } = await usage.override({ maxMember: 9 })
    expect(body.errors).toEqual([
      {
        pointer: '/limits/maxMember',
        detail: 'There is no such limit. Did you mean maxMembers?',
      },
    ])
  })
})

describe('a plan', () => {
  test('that is smaller freezes growth only, can be tried before, and is in the log', async () => {
    await usage.plan('custom')
    for (const user of ['b', 'c', 'd', 'e', 'f', 'g']) await usage.join(user)
    await usage.report('storageBytes', 2_500_000_000)
    const frozen = [
      { limit: 'maxMembers', value: 5, used: 7 },
      { limit: 'maxStorageGB', value: 1, used: 2.5 },
    ]
    const tried = await usage.plan('free', '?dryRun=true')
    expect([tried.status, tried.body]).toEqual([200, { plan: 'free', frozen }])
    expect(await usage.limit('maxMembers')).toMatchObject({ value: null })
    const changed = await usage.plan('free')
    expect(changed.body).toEqual({ plan: 'free', frozen })
    expect((await server.call(`GET ${organization.path}`)).body.plan).toBe('free')

    expect((await usage.join('h')).body.limit).toEqual({ key: 'maxMembers', value: 5, used: 7 })
    const edited = await server.call(`PUT ${organization.path}/members/b`, { roles: ['member'] })
    expect(edited.status).toBe(200)
    expect((await server.call(`DELETE ${organization.path}/members/b`)).status).toBe(204)
    expect((await usage.join('b')).status).toBe(409)
    expect((await usage.report('storageBytes', 1)).body).toMatchObject({ allowed: false })
    expect((await usage.report('storageBytes', -2_000_000_000)).body).toMatchObject({
      allowed: true,
      used: 500_000_000,
    })
    const events = await server.sql`select body from audit_events
      where log = ${organization.id} and event = 'organization.plan-changed' order by id`
    expect(JSON.parse(events.at(-1)!.body)).toMatchObject({
      before: { plan: 'custom' },
      after: { plan: 'free', frozen },
    })
  })

  test('changes the next request, and the same again changes nothing', async () => {
    for (const user of ['b', 'c', 'd', 'e']) await usage.join(user)
    expect((await usage.join('f')).status).toBe(409)
    const first = await usage.plan('pro')
    expect((await usage.join('f')).status).toBeLessThan(300)
    const second = await usage.plan('pro')
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'))
  })

  test('and limits are edited at a version', async () => {
    const etag = (await get('limits')).headers.get('etag')!
    const put = (what: string, body: object, version: string) =>
      server.call(`PUT ${organization.path}/${what}`, body, { headers: { 'if-match': version } })
    expect((await put('plan', { plan: 'pro' }, etag)).status).toBe(200)
    expect((await put('plan', { plan: 'free' }, etag)).status).toBe(412)
    const body = { limits: { maxMembers: 9 }, reason: 'x' }
    expect((await put('limits', body, etag)).status).toBe(412)
    const now = (await get('limits')).headers.get('etag')!
    expect((await put('limits', body, now)).status).toBe(200)
  })

  test.each(['constructor', '__proto__', 'toString', 'Free', 'fre'])(
    'called %s is unknown',
    async (plan) => {
      const answer = await usage.plan(plan)
      expect([answer.status, answer.body.code]).toEqual([422, 'plan-unknown'])
    },
  )

  test('that is nearly one is named', async () => {
    expect((await usage.plan('fre')).body.detail).toContain('Did you mean free')
  })

  test('is the one of the setting for a new organization, whoever asks for another', async () => {
    const name = `Own ${Date.now()}`
    for (const more of [{ plan: 'custom' }, { limits: {} }])
      expect(
        (await server.call('POST /v1/organizations', { name, owner: 'user:zoe', ...more })).status,
      ).toBe(400)
    const born = await server.call('POST /v1/organizations', { name, owner: 'user:zoe' })
    expect(born.body.plan).toBe('free')
  })
})

describe('an organization itself', () => {
  test('raises neither its plan nor its limits, whatever its keys hold', async () => {
    const owner = await organization.keyFor({ roles: ['admin'] })
    const all = await organization.keyFor({ permissions: ['org:billing:update', 'org:update'] })
    for (const key of [owner, all]) {
      const plan = await server.call(`PUT ${organization.path}/plan`, { plan: 'custom' }, { key })
      expect([plan.status, plan.body.permission]).toEqual([403, 'org:plan:update'])
      const limits = { limits: { maxMembers: null }, reason: 'please' }
      expect((await server.call(`PUT ${organization.path}/limits`, limits, { key })).status).toBe(
        403,
      )
      for (const member of [{ plan: 'custom' }, { version: 1 }])
        expect((await server.call(`PATCH ${organization.path}`, member, { key })).status).not.toBe(
          200,
        )
    }
    const grant = await server.call(`POST ${organization.path}/grants`, {
      subject: 'user:alice',
      permission: 'org:plan:update',
    })
    expect(grant.status).toBe(422)
  })

  test('is put on a plan by operators; support sees its limits only', async () => {
    for (const [role, status] of [
      ['operator', 200],
      ['support', 403],
    ] as const) {
      const { token: key } = await createOperatorKey(server.context, { name: role, role })
      const limits = await server.call(`GET ${organization.path}/limits`, undefined, { key })
      expect(limits.status).toBe(200)
      const put = await server.call(`PUT ${organization.path}/plan`, { plan: 'pro' }, { key })
      expect([role, put.status]).toEqual([role, status])
      const body = { meter: 'executions', amount: 1 }
      const headers = { 'idempotency-key': role }
      const report = await server.call(`POST ${organization.path}/usage`, body, { key, headers })
      expect([role, report.status]).toEqual([role, 403])
    }
  })

  test('sees nothing of another, and counts nothing there', async () => {
    const theirs = await server.newOrganization('user:eve')
    const key = await organization.keyFor({ roles: ['admin'] })
    for (const what of ['limits', 'usage', 'analytics'])
      expect((await server.call(`GET ${theirs.path}/${what}`, undefined, { key })).status).toBe(404)
    const headers = { 'idempotency-key': 'x' }
    const body = { meter: 'executions', amount: 1 }
    expect((await server.call(`POST ${theirs.path}/usage`, body, { key, headers })).status).toBe(
      404,
    )
    const made = await usageOf(server, theirs).reserve('executions', 1)
    for (const what of ['commit', 'release'] as const) {
      const ended = await usage.end(what, made.body.id, what === 'commit' ? {} : undefined)
      expect([ended.status, ended.body.code]).toEqual([404, 'reservation-not-found'])
    }
  })

  test('has keys of its own: the same one counts in each', async () => {
    const theirs = usageOf(server, await server.newOrganization('user:eve'))
    expect((await usage.report('executions', 3, 'same')).body.used).toBe(3)
    expect((await theirs.report('executions', 4, 'same')).body.used).toBe(4)
  })
})

describe('reports', () => {
  test('are counted once per key and answer the same', async () => {
    const first = await usage.report('executions', 10, 'run-1')
    expect([first.status, first.body]).toEqual([
      200,
      { allowed: true, limit: 1000, used: 10, remaining: 990, resetsAt: expect.any(String) },
    ])
    await usage.report('executions', 5, 'run-2')
    const again = await usage.report('executions', 10, 'run-1')
    expect([again.status, again.body]).toEqual([200, first.body])
    expect((await usage.report('executions', 0 + 1, 'run-3')).body.used).toBe(16)
    for (const [meter, amount] of [['executions', 11] as const, ['storageBytes', 10] as const]) {
      const other = await usage.report(meter, amount, 'run-1')
      expect([other.status, other.body.code]).toEqual([422, 'idempotency-key-reused'])
    }
  })

  test('need a key', async () => {
    const body = { meter: 'executions', amount: 1 }
    const answer = await server.call(`POST ${organization.path}/usage`, body)
    expect([answer.status, answer.body.code]).toEqual([400, 'idempotency-key-needed'])
  })

  test('that do not fit are an answer; nothing is counted, and the key may be sent again', async () => {
    await usage.report('executions', 995)
    const refused = await usage.report('executions', 6, 'later')
    expect([refused.status, refused.body]).toEqual([
      200,
      { allowed: false, limit: 1000, used: 995, remaining: 5, resetsAt: expect.any(String) },
    ])
    expect((await usage.report('executions', 5)).body).toMatchObject({
      allowed: true,
      remaining: 0,
    })
    await usage.plan('pro')
    expect((await usage.report('executions', 6, 'later')).body).toMatchObject({
      allowed: true,
      used: 1006,
    })
    expect((await usage.report('executions', 6, 'later')).body.used).toBe(1006)
  })

  test('begin anew with the month, UTC', async () => {
    await usage.report('executions', 1000)
    expect((await usage.report('executions', 1)).body.allowed).toBe(false)
    const month = (months: number) => {
      const now = new Date()
      return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months, 1)).toISOString()
    }
    const take = (at: string, amount: number) =>
      server.sql`select take_usage(${organization.id}, 'executions', ${amount}, 0, ${at}::timestamptz)`
    const lastMoment = new Date(Date.parse(month(1)) - 1).toISOString()
    await expect(take(lastMoment, 1)).rejects.toMatchObject({ code: 'LK001' })
    await take(month(1), 1000)
    await expect(take(month(1), 1)).rejects.toMatchObject({ code: 'LK001' })
    expect((await usage.limit('maxExecutionsPerMonth')).used).toBe(1000)
    // What was used last month is in nobody's way now.
    await server.sql`update usage set period_start = ${month(-1).slice(0, 10)}::date
      where organization_id = ${organization.id} and meter = 'executions' and period_start = ${month(0).slice(0, 10)}::date`
    const fresh = await usage.report('executions', 1)
    expect(fresh.body).toEqual({
      allowed: true,
      limit: 1000,
      used: 1,
      remaining: 999,
      resetsAt: month(1),
    })
  })

  test('give back storage only, and never below nothing', async () => {
    await usage.report('storageBytes', 1_000_000_000)
    expect((await usage.report('storageBytes', 1)).body).toMatchObject({
      allowed: false,
      resetsAt: null,
    })
    expect((await usage.report('storageBytes', -400)).body).toMatchObject({
      allowed: true,
      used: 999_999_600,
      remaining: 400,
    })
    expect((await usage.report('storageBytes', -5_000_000_000)).body.used).toBe(0)
    const back = await usage.report('executions', -1)
    expect([back.status, back.body.code]).toEqual([422, 'amount-negative'])
  })

  test.each([
    [{ meter: 'members', amount: 1 }, 422, 'meter-counted'],
    [{ meter: 'webhooks', amount: 1 }, 422, 'meter-counted'],
    [{ meter: 'members', amount: -1 }, 422, 'meter-counted'],
    [{ meter: 'execution', amount: 1 }, 422, 'meter-unknown'],
    [{ meter: 'constructor', amount: 1 }, 422, 'meter-unknown'],
    [{ meter: '__proto__', amount: 1 }, 422, 'meter-unknown'],
    [{ meter: 'executions', amount: 0 }, 400, 'invalid-request'],
    [{ meter: 'executions', amount: 1.5 }, 400, 'invalid-request'],
    [{ meter: 'executions', amount: '1' }, 400, 'invalid-request'],
    [{ meter: 'executions', amount: 1e300 }, 400, 'invalid-request'],
    [{ meter: 'executions' }, 400, 'invalid-request'],
  ])('%j is %i %s', async (body, status, code) => {
    const headers = { 'idempotency-key': 'k' }
    const answer = await server.call(`POST ${organization.path}/usage`, body, { headers })
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  test('that add up to more than can be counted are refused', async () => {
    await usage.plan('custom')
    for (let n = 0; n < 9; n++) await usage.report('storageBytes', 1e15)
    const answer = await usage.report('storageBytes', 1e15)
    expect([answer.status, answer.body.code]).toEqual([422, 'usage-uncountable'])
  })

  test('of an organization that is read only give back, and do not grow', async () => {
    await usage.report('storageBytes', 500)
    const held = (await usage.reserve('executions', 5)).body.id
    const close = (level: string) =>
      server.call(`POST ${organization.path}/suspend`, { level, reason: 'unpaid' })
    await close('read_only')
    expect((await usage.report('storageBytes', 1)).body.code).toBe('organization-read-only')
    expect((await usage.report('storageBytes', -500)).body.used).toBe(0)
    expect((await usage.end('commit', held, {})).status).toBe(200)
    await close('suspended')
    expect((await usage.report('storageBytes', -1)).body.code).toBe('organization-suspended')
  })

  test('leave neither an event nor a revision', async () => {
    const state = async () => {
      const [row] = await server.sql`select revision,
        (select count(*) from audit_events where log = ${organization.id}) as events
        from organizations where id = ${organization.id}`
      return row
    }
    const before = await state()
    await usage.report('executions', 1)
    await usage.end('release', (await usage.reserve('executions', 1)).body.id)
    expect(await state()).toEqual(before)
  })
})

describe('reservations', () => {
  test('hold room until they are committed or released', async () => {
    const made = await usage.reserve('executions', 900)
    expect([made.status, made.body]).toEqual([
      201,
      {
        id: expect.stringMatching(/^rsv_/),
        allowed: true,
        limit: 1000,
        used: 0,
        remaining: 100,
        resetsAt: expect.any(String),
      },
    ])
    expect(await usage.limit('maxExecutionsPerMonth')).toMatchObject({
      used: 0,
      reserved: 900,
      remaining: 100,
    })
    const refused = await usage.reserve('executions', 101)
    expect([refused.status, refused.body]).toEqual([
      200,
      { allowed: false, limit: 1000, used: 0, remaining: 100, resetsAt: expect.any(String) },
    ])
    expect((await usage.report('executions', 101)).body.allowed).toBe(false)
    const committed = await usage.end('commit', made.body.id, { used: 300 })
    expect([committed.status, committed.body]).toMatchObject([
      200,
      { id: made.body.id, allowed: true, used: 300, remaining: 700 },
    ])
    const other = await usage.reserve('executions', 700)
    expect((await usage.end('release', other.body.id)).body).toMatchObject({
      used: 300,
      remaining: 700,
    })
    for (const id of [made.body.id, other.body.id])
      for (const what of ['commit', 'release'] as const) {
        const again = await usage.end(what, id, what === 'commit' ? {} : undefined)
        expect([again.status, again.body.code]).toEqual([409, 'reservation-ended'])
      }
  })

  test('count whole unless told, and never more', async () => {
    const { id } = (await usage.reserve('executions', 10)).body
    const more = await usage.end('commit', id, { used: 11 })
    expect([more.status, more.body.code]).toEqual([422, 'used-above-amount'])
    expect((await usage.end('commit', id, {})).body.used).toBe(10)
  })

  test('of a repeated request are one', async () => {
    const ask = () =>
      server.call(
        `POST ${organization.path}/usage/reservations`,
        { meter: 'executions', amount: 10, expiresInSeconds: 60 },
        { headers: { 'idempotency-key': 'work-1' } },
      )
    const [first, second] = [await ask(), await ask()]
    expect([second.status, second.body]).toEqual([first.status, first.body])
    expect((await usage.limit('maxExecutionsPerMonth')).reserved).toBe(10)
  })

  test('that are over end by themselves, and are in nobody’s way before', async () => {
    const [one, two] = [
      await usage.reserve('executions', 500),
      await usage.reserve('executions', 500),
    ]
    const overdue = (id: string) =>
      server.sql`update usage_reservations set expires_at = now() - interval '1 second' where id = ${id}`
    await overdue(one.body.id)
    const late = await usage.end('commit', one.body.id, {})
    expect([late.status, late.body.code]).toEqual([409, 'reservation-ended'])
    expect((await usage.report('executions', 500)).body.allowed).toBe(true)
    await overdue(two.body.id)
    expect((await usage.limit('maxExecutionsPerMonth')).reserved).toBe(500)
    const job = server.jobs.handlers.get('usage.expire-reservations')!
    const signal = new AbortController().signal
    expect(await job.run({ context: server.context, signal } as never)).toEqual({ expired: 1 })
    expect(await usage.limit('maxExecutionsPerMonth')).toMatchObject({ used: 500, reserved: 0 })
  })

  test('count in the month they were made in', async () => {
    const { id } = (await usage.reserve('executions', 100)).body
    const moved = await server.sql`
      with r as (update usage_reservations set reserved_at = reserved_at - interval '1 month' where id = ${id} returning reserved_at)
      update usage set period_start = (select date_trunc('month', reserved_at at time zone 'UTC')::date from r)
      where organization_id = ${organization.id} and meter = 'executions' returning period_start`
    expect(moved).toHaveLength(1)
    expect((await usage.end('commit', id, { used: 60 })).body.used).toBe(0)
    const rows = await server.sql`select used, reserved from usage
      where organization_id = ${organization.id} and meter = 'executions'`
    expect([...rows]).toEqual([{ used: 60, reserved: 0 }])
  })

  test.each([
    [{ meter: 'executions', amount: 0, expiresInSeconds: 60 }, 400],
    [{ meter: 'executions', amount: -5, expiresInSeconds: 60 }, 400],
    [{ meter: 'executions', amount: 5, expiresInSeconds: 0 }, 400],
    [{ meter: 'executions', amount: 5 }, 400],
    [{ meter: 'members', amount: 5, expiresInSeconds: 60 }, 422],
    [{ meter: '__proto__', amount: 5, expiresInSeconds: 60 }, 422],
  ])('%j is %i', async (body, status) => {
    const answer = await server.call(`POST ${organization.path}/usage/reservations`, body)
    expect(answer.status).toBe(status)
  })
})
