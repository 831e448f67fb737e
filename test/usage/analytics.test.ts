import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestServer } from '../support/server.ts'
import { type FreeServer, startOnFree, usageOf } from './fixtures.ts'

let server: FreeServer
beforeAll(async () => {
  server = await startOnFree({ defaultPlan: 'pro' })
})
afterAll(() => server.drop())

type Point = { at: string; metric: string; value: number }

const hourOf = (date = new Date()) => `${date.toISOString().slice(0, 13)}:00:00.000Z`
const dayOf = (date = new Date()) => `${date.toISOString().slice(0, 10)}T00:00:00.000Z`

const runJob = (name: string) =>
  server.jobs.handlers
    .get(name)!
    .run({ context: server.context, signal: new AbortController().signal } as never)

const analytics = async (path: string, query = ''): Promise<Point[]> => {
  const { status, body } = await server.call(`GET ${path}/analytics${query}`)
  expect(status).toBe(200)
  return body.items
}
const valuesOf = (points: Point[]) =>
  Object.fromEntries(points.map(({ metric, value }) => [metric, value]))

/** An organization with a workspace, a member, and resources in and outside of it. */
const prepare = async () => {
  const organization = await server.newOrganization()
  const { path } = organization
  const workspace = await server.call(`POST ${path}/workspaces`, { name: 'Lab', slug: 'lab' })
  await server.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
  await server.call(`PUT ${path}/workspaces/lab/members/bob`, { roles: ['user'] })
  await server.call(`PUT ${path}/resources/scenario/in`, { workspace: 'lab' })
  await server.call(`PUT ${path}/resources/scenario/out`, {})
  const check = (body: object, node: Pick<FreeServer, 'call'> = server, key = server.adminKey) =>
    node.call('POST /check', { organization: organization.slug, ...body }, { key })
  return { ...organization, workspaceId: workspace.body.id as string, check }
}

describe('decisions', () => {
  test('are counted by hour, for the organization and for the workspace that is meant', async () => {
    const { path, check } = await prepare()
    const bob = { subject: 'user:bob' }
    await check({ ...bob, permission: 'scenario:read' })
    await check({ ...bob, permission: 'scenario:delete' })
    await check({ ...bob, permission: 'scenario:read', workspace: 'lab' })
    await check({ ...bob, permission: 'scenario:delete', resource: 'scenario:in' })
    // A registered resource's own place counts.
    await check({ ...bob, permission: 'scenario:read', resource: 'scenario:out', workspace: 'lab' })
    await check({ subject: 'user:stranger', permission: 'scenario:read' })
    await server.call('POST /check/batch', {
      defaults: { organization: path.split('/').at(-1), ...bob, permission: 'scenario:read' },
      checks: [{}, { workspace: 'lab' }, { permission: 'nonsense:none' }],
    })
    expect(await analytics(path, '?bucket=hour')).toEqual([])
    await server.metering.flush(server.sql)
    expect(await analytics(path, '?bucket=hour')).toEqual([
      { at: hourOf(), metric: 'checks', value: 8 },
      { at: hourOf(), metric: 'denials', value: 3 },
    ])
    expect(await analytics(`${path}/workspaces/lab`, '?bucket=hour')).toEqual([
      { at: hourOf(), metric: 'checks', value: 3 },
      { at: hourOf(), metric: 'denials', value: 1 },
    ])
  })

  test('asked through AuthZEN are counted, too', async () => {
    const { path, slug } = await prepare()
    await server.call(`POST /${slug}/access/v1/evaluation`, {
      subject: { type: 'user', id: 'bob' },
      action: { name: 'read' },
      resource: { type: 'scenario', id: 'in' },
    })
    await server.metering.flush(server.sql)
    expect(valuesOf(await analytics(path))).toEqual({ checks: 1 })
    expect(valuesOf(await analytics(`${path}/workspaces/lab`))).toEqual({ checks: 1 })
  })

  test('that cannot be written down are written down later', async () => {
    const { path, check } = await prepare()
    await check({ subject: 'user:bob', permission: 'scenario:read', workspace: 'lab' })
    const away = Object.assign(() => {}, { begin: () => Promise.reject(new Error('away')) })
    await server.metering.flush(away as never)
    expect(await analytics(path)).toEqual([])
    await check({ subject: 'user:bob', permission: 'scenario:delete' })
    await server.metering.flush(server.sql)
    expect(valuesOf(await analytics(path))).toEqual({ checks: 2, denials: 1 })
    expect(valuesOf(await analytics(`${path}/workspaces/lab`))).toEqual({ checks: 1 })
  })

  test('of what was deleted meanwhile are left out, and hold up no others', async () => {
    const [gone, stays] = [await prepare(), await prepare()]
    const ask = { subject: 'user:bob', permission: 'scenario:read', workspace: 'lab' }
    await gone.check(ask)
    await stays.check(ask)
    await server.call(`DELETE ${stays.path}/workspaces/lab?confirm=Lab`)
    await server.sql`delete from organizations where id = ${gone.id}`
    await server.metering.flush(server.sql)
    expect(valuesOf(await analytics(stays.path))).toEqual({ checks: 1 })
    expect(
      await server.sql`select 1 from usage_points where organization_id = ${gone.id}`,
    ).toHaveLength(0)
  })

  test('of two nodes add up', async () => {
    const { path, check } = await prepare()
    const other = await startTestServer({ database: server.database, defaultPlan: 'pro' })
    const ask = { subject: 'user:bob', permission: 'scenario:read', workspace: 'lab' }
    for (let round = 0; round < 3; round++) {
      for (let n = 0; n < 10; n++) {
        await check(ask)
        await check({ ...ask, subject: 'user:stranger' }, other, other.adminKey)
      }
      await Promise.all([server.metering.flush(server.sql), other.metering.flush(server.sql)])
    }
    expect(valuesOf(await analytics(path))).toEqual({ checks: 60, denials: 30 })
    expect(valuesOf(await analytics(`${path}/workspaces/lab`))).toEqual({ checks: 60, denials: 30 })
  })

  test('are written down by the timer, and when the server stops', async () => {
    const { path, check } = await prepare()
    await check({ subject: 'user:bob', permission: 'scenario:read' })
    const counted = server.metering.start(server.sql)
    await check({ subject: 'user:bob', permission: 'scenario:read' })
    await counted.stop()
    expect(valuesOf(await analytics(path))).toEqual({ checks: 2 })
  })
})

describe('what stands', () => {
  test('is measured every hour: people without invitations, own roles, storage', async () => {
    const { path, id } = await prepare()
    const usage = usageOf(server, { path, id })
    await usage.join('carol')
    await usage.join('service:ci')
    await usage.invite('dora@example.com')
    await server.call(`PATCH ${path}/members/carol`, { status: 'suspended' })
    await server.call(`PUT ${path}/roles/lead`, { permissions: ['scenario:read'] })
    await usage.report('storageBytes', 12_345)
    expect(await runJob('usage.roll-up')).toMatchObject({ reports: 0, folded: 0 })
    expect(await analytics(path, '?metrics=members,roles,storage&bucket=hour')).toEqual([
      { at: hourOf(), metric: 'members', value: 2 },
      { at: hourOf(), metric: 'roles', value: 1 },
      { at: hourOf(), metric: 'storage', value: 12_345 },
    ])
    expect(valuesOf(await analytics(`${path}/workspaces/lab`))).toEqual({ members: 1 })
    await server.call(`PATCH ${path}/members/carol`, { status: 'active' })
    await runJob('usage.roll-up')
    expect(valuesOf(await analytics(path))).toMatchObject({ members: 3 })
  })

  test('and what is added up become days after ninety days', async () => {
    const { path, id } = await prepare()
    const old = new Date(Date.now() - 95 * 86_400_000)
    const midnight = dayOf(old)
    for (const hour of [0, 1, 23])
      await server.sql`insert into usage_points (organization_id, metric, at, value)
        select ${id}, metric, ${midnight}::timestamptz + make_interval(hours => ${hour}), value
        from (values ('checks', 10), ('denials', 1), ('members', ${hour + 1}::int)) as v (metric, value)`
    const query = `?from=${midnight}&to=${dayOf()}&bucket=`
    const [days, before] = [
      await analytics(path, `${query}day`),
      await analytics(path, `${query}hour`),
    ]
    expect(days).toEqual([
      { at: midnight, metric: 'checks', value: 30 },
      { at: midnight, metric: 'denials', value: 3 },
      { at: midnight, metric: 'members', value: 24 },
    ])
    expect(before).toHaveLength(9)
    expect(await runJob('usage.roll-up')).toMatchObject({ folded: 3 })
    expect(await analytics(path, `${query}day`)).toEqual(days)
    expect(await analytics(path, `${query}hour`)).toEqual(days)
    expect(await runJob('usage.roll-up')).toMatchObject({ folded: 0 })
  })

  test('of reports is kept for sixty days', async () => {
    const usage = usageOf(server, await prepare())
    await usage.report('executions', 1, 'old')
    await usage.end('release', (await usage.reserve('executions', 1)).body.id)
    await server.sql`update usage_reports set reported_at = now() - interval '61 days'`
    await server.sql`alter table usage_reservations disable trigger move_reservation`
    await server.sql`update usage_reservations set ended_at = now() - interval '61 days' where status <> 'reserved'`
    await server.sql`alter table usage_reservations enable trigger move_reservation`
    const { reports, reservations } = (await runJob('usage.roll-up')) as Record<string, number>
    expect(reports).toBeGreaterThan(0)
    expect(reservations).toBeGreaterThan(0)
    expect((await usage.limit('maxExecutionsPerMonth')).used).toBe(1)
  })
})

describe('use over time', () => {
  test('of executions is theirs of each day and month, committed reservations too', async () => {
    const { path, id } = await prepare()
    const usage = usageOf(server, { path, id })
    await usage.report('executions', 10)
    const { body } = await usage.reserve('executions', 50)
    await usage.end('commit', body.id, { used: 7 })
    await usage.end('release', (await usage.reserve('executions', 50)).body.id)
    const item = { meter: 'executions', used: 17, limit: 10_000 }
    const list = async (query: string) => (await server.call(`GET ${path}/usage?${query}`)).body
    expect(await list('meter=executions')).toEqual({
      items: [{ ...item, at: dayOf() }],
      nextCursor: null,
    })
    const month = `${new Date().toISOString().slice(0, 7)}-01T00:00:00.000Z`
    expect(await list('meter=executions&bucket=month')).toEqual({
      items: [{ ...item, at: month }],
      nextCursor: null,
    })
    expect(valuesOf(await analytics(path, '?metrics=executions'))).toEqual({ executions: 17 })
  })

  test('of what is counted from rows is the last of each day, and live today', async () => {
    const { path, id } = await prepare()
    const at = (days: number, hour: string) =>
      `${new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10)}T${hour}:00:00Z`
    for (const [when, value] of [
      [at(2, '03'), 7],
      [at(2, '21'), 9],
      [at(1, '10'), 4],
    ] as const)
      await server.sql`insert into usage_points (organization_id, metric, at, value) values (${id}, 'seats', ${when}, ${value})`
    const { body } = await server.call(`GET ${path}/usage?meter=members`)
    expect(
      body.items.map(({ used, limit }: { used: number; limit: number }) => [used, limit]),
    ).toEqual([
      [9, 25],
      [4, 25],
      [2, 25],
    ])
    const past = await server.call(`GET ${path}/usage?meter=members&to=${at(0, '00').slice(0, 10)}`)
    expect(past.body.items).toHaveLength(2)
  })

  test('is listed in pages without gaps or repetitions', async () => {
    const { path, id } = await prepare()
    await server.sql`insert into usage_points (organization_id, metric, at, value)
      select ${id}, metric, date_trunc('hour', now()) - make_interval(hours => n), n
      from generate_series(1, 60) n, unnest(array['checks', 'denials', 'members']) metric`
    const seen: string[] = []
    let cursor = ''
    do {
      const from = new Date(Date.now() - 5 * 86_400_000).toISOString()
      const { body } = await server.call(
        `GET ${path}/analytics?bucket=hour&from=${from}&limit=7${cursor && `&cursor=${cursor}`}`,
      )
      seen.push(...body.items.map(({ at, metric }: Point) => `${at} ${metric}`))
      cursor = body.nextCursor ?? ''
    } while (cursor)
    expect(seen).toHaveLength(180)
    expect(seen).toEqual([...new Set(seen)].sort())
  })

  test.each([
    ['usage?bucket=hour', 400, 'invalid-request'],
    ['usage?meter=constructor', 422, 'meter-unknown'],
    ['usage?meter=execution', 422, 'meter-unknown'],
    ['usage?from=2026-02-01&to=2026-01-01', 400, 'invalid-request'],
    ['usage?from=yesterday', 400, 'invalid-request'],
    ['usage?cursor=eA', 400, 'invalid-request'],
    ['analytics?bucket=month', 400, 'invalid-request'],
    ['analytics?metrics=check', 422, 'metric-unknown'],
    ['analytics?metrics=checks,__proto__', 422, 'metric-unknown'],
    ['analytics?metrics=seats', 422, 'metric-unknown'],
  ])('%s is %i %s', async (what, status, code) => {
    const { path } = await server.newOrganization()
    const answer = await server.call(`GET ${path}/${what}`)
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  test('of a workspace is for those who may see it there', async () => {
    const { path, keyFor } = await prepare()
    await server.call(`POST ${path}/workspaces`, { name: 'Two', slug: 'two' })
    const reader = await keyFor({ permissions: ['org:usage:read'] })
    const there = await server.call(`GET ${path}/workspaces/lab/analytics`, undefined, {
      key: reader,
    })
    expect([there.status, there.body.permission]).toEqual([403, 'workspace:analytics'])
    const both = await keyFor({ permissions: ['workspace:analytics'] })
    expect(
      (await server.call(`GET ${path}/workspaces/lab/analytics`, undefined, { key: both })).status,
    ).toBe(200)
    expect((await server.call(`GET ${path}/analytics`, undefined, { key: both })).status).toBe(403)
  })
})
