import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Transaction } from '../../src/platform/db/connect.ts'
import { newId } from '../../src/platform/id.ts'
import { type FreeServer, startOnFree, usageOf } from './fixtures.ts'

let server: FreeServer
let mine: Awaited<ReturnType<FreeServer['newOrganization']>>
let theirs: Awaited<ReturnType<FreeServer['newOrganization']>>
let reservation: string

beforeAll(async () => {
  server = await startOnFree()
  mine = await server.newOrganization()
  theirs = await server.newOrganization('user:eve')
  for (const each of [mine, theirs]) {
    const usage = usageOf(server, each)
    await usage.report('executions', 500)
    await usage.override({ maxTemplates: 3 })
  }
  reservation = (await usageOf(server, mine).reserve('executions', 10)).body.id
})
afterAll(() => server.drop())

/** What a statement inside an organization is refused with, or how many rows it reached; undone in either case. */
const attempt = async (statement: string, role = 'latchkey_app') => {
  let reached = 0
  const undone = new Error('undone')
  try {
    await server.sql.begin(async (tx) => {
      await tx`select set_config('role', ${role}, true), set_config('latchkey.organization', ${mine.id}, true)`
      reached = (await (tx as Transaction).unsafe(statement)).count
      throw undone
    })
  } catch (error) {
    return error === undone ? reached : ((error as { code?: string }).code ?? String(error))
  }
  return reached
}

const REFUSED = '42501'

describe('inside an organization nobody', () => {
  test.each([
    ['takes usage of another', () => `select take_usage('${theirs.id}', 'executions', 1)`],
    ['frees seats', () => `select take_usage('${mine.id}', 'members', -5)`],
    ['reads limits of another', () => `select limit_of('${theirs.id}', 'members')`],
    ['draws curves', () => `select add_point('${mine.id}', 'executions', 5, now())`],
    ['changes the plan', () => `update organizations set plan = 'custom'`],
    ['counts less', () => 'update usage set used = 0'],
    ['counts less of what is reserved', () => 'update usage set reserved = 0, returned = 9'],
    ['forgets', () => 'delete from usage'],
    ['forgets reports', () => 'delete from usage_reports'],
    ['edits reports', () => 'update usage_reports set amount = 1'],
    ['forgets reservations', () => 'delete from usage_reservations'],
    ['makes reservations larger', () => 'update usage_reservations set amount = 100'],
    [
      'moves them into another month',
      () => `update usage_reservations set reserved_at = now() - interval '40 days'`,
    ],
    ['overrides', () => 'update limit_overrides set value = null'],
    [
      'sets a limit',
      () => `insert into limit_overrides values ('${mine.id}', 'maxMembers', null, null, 'x', 'x')`,
    ],
    ['lifts a plan', () => 'update plan_limits set value = null'],
    ['renames a meter', () => `update meters set units_per_limit = 1000000`],
    ['draws points', () => 'delete from usage_points'],
    [
      'reports for another',
      () =>
        `insert into usage_reports (organization_id, idempotency_key, meter, amount, reported_by)
         values ('${theirs.id}', 'x', 'executions', 1, 'x')`,
    ],
    [
      'reserves for another',
      () =>
        `insert into usage_reservations (id, organization_id, meter, amount, reserved_by, expires_at)
         values ('${newId('rsv')}', '${theirs.id}', 'executions', 1, 'x', now())`,
    ],
    [
      'is born ended',
      () => `insert into usage_reservations (id, organization_id, meter, amount, reserved_by, expires_at, status)
         values ('${newId('rsv')}', '${mine.id}', 'executions', 1, 'x', now(), 'released')`,
    ],
  ])('%s', async (_, statement) => {
    expect(await attempt(statement())).toBe(REFUSED)
  })

  test.each([
    ['gives executions back', () => report('executions', -5), '23514'],
    ['reports nothing', () => report('executions', 0), '23514'],
    ['reports members', () => report('members', 1), '23503'],
    ['gives members back', () => report('members', -1), '23514'],
    [
      'uses more than reserved',
      () => end(`status = 'committed', used = 11, ended_at = now()`),
      '23514',
    ],
    [
      'uses less than nothing',
      () => end(`status = 'committed', used = -1, ended_at = now()`),
      '23514',
    ],
    [
      'uses what is released',
      () => end(`status = 'released', used = 5, ended_at = now()`),
      '23514',
    ],
    ['uses and keeps the reservation', () => end('used = 5'), '23514'],
    ['ends without an end', () => end(`status = 'released'`), '23514'],
  ])('%s', async (_, statement, code) => {
    expect(await attempt(statement())).toBe(code)
  })

  test('ends a reservation twice, or changes one that has ended', async () => {
    const twice = `${end(`status = 'released', ended_at = now()`)};`
    expect(await attempt(`${twice} ${twice}`)).toBe('LK009')
    const reopened = end(`status = 'reserved', ended_at = null`)
    expect(await attempt(`${twice} ${reopened}`)).toBe('LK009')
    const more = end(`used = 5`)
    expect(
      await attempt(`${end(`status = 'committed', used = 1, ended_at = now()`)}; ${more}`),
    ).toBe('LK009')
  })
})

const report = (meter: string, amount: number) =>
  `insert into usage_reports (organization_id, idempotency_key, meter, amount, reported_by)
   values ('${mine.id}', 'x', '${meter}', ${amount}, 'x')`
const end = (set: string) => `update usage_reservations set ${set} where id = '${reservation}'`

test('counts are the rows, whatever way they came and went', async () => {
  const organization = await server.newOrganization()
  const usage = usageOf(server, organization)
  await usage.plan('custom')
  const { id } = organization
  const held = async () => {
    const { counted, held } = await usage.seats()
    expect(counted).toBe(held)
    return counted
  }
  await server.sql`insert into members (organization_id, subject)
    select ${id}, 'user:n' || n from generate_series(1, 300) n`
  expect(await held()).toBe(301)
  await server.sql`update members set status = 'suspended' where organization_id = ${id} and subject like 'user:n1%'`
  expect(await held()).toBe(301 - 111)
  await server.sql`update members set attributes = '{"a":1}' where organization_id = ${id}`
  expect(await held()).toBe(190)
  await server.sql`insert into members (organization_id, subject) values (${id}, 'user:n1'), (${id}, 'user:new')
    on conflict (organization_id, subject) do update set status = 'active'`
  expect(await held()).toBe(192)
  await server.sql`insert into members (organization_id, subject) values (${id}, 'service:a'), (${id}, 'identity:b')`
  expect(await held()).toBe(193)
  await server.sql`delete from members where organization_id = ${id} and not is_owner`
  expect(await held()).toBe(1)
})

test('usage ends with its organization', async () => {
  const organization = await server.newOrganization()
  const usage = usageOf(server, organization)
  await usage.join('b')
  await usage.invite('c@example.com')
  await usage.report('executions', 1)
  await usage.reserve('executions', 1)
  await usage.override({ maxMembers: 9 })
  await server.sql`delete from organizations where id = ${organization.id}`
  for (const table of [
    'usage',
    'usage_reports',
    'usage_reservations',
    'usage_points',
    'limit_overrides',
  ])
    expect(
      await server.sql.unsafe(
        `select 1 from ${table} where organization_id = '${organization.id}'`,
      ),
    ).toHaveLength(0)
})
