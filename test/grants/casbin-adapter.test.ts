import { type Adapter, newEnforcer, newModelFromString, Util } from 'casbin'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { conditionHolds, environmentOf } from '../../src/engine/condition.ts'
import { createCasbinAdapter } from '../../src/grants/casbin-adapter.ts'
import { readShipped } from '../../src/platform/node/files.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>
let adapter: ReturnType<typeof createCasbinAdapter>

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  organization = await server.newOrganization()
  await server.call(`PUT ${organization.path}/members/bob`, { roles: ['viewer'] })
  adapter = createCasbinAdapter({ ...server.context, organizationId: organization.id })
})

/** Stock Casbin, as anybody would put it together. */
const stockCasbin = async (filter?: { subjects: string[] }) => {
  const model = newModelFromString(await readShipped('model.conf'))
  const enforcer = await newEnforcer(model)
  await enforcer.addNamedDomainMatchingFunc('g', Util.keyMatchFunc)
  enforcer.addFunction('condition', conditionHolds as never)
  if (filter) await adapter.loadFilteredPolicy(model, filter)
  else await adapter.loadPolicy(model)
  await enforcer.buildRoleLinks()
  const domain = `/${organization.id}/`
  const environment = environmentOf({
    subject: { type: 'user', id: 'bob' },
    resource: { type: 'scenario', id: '1' },
    action: { name: 'x' },
    now: new Date(),
  })
  return (subject: string, object: string, action: string) =>
    enforcer.enforceSync(subject, domain, object, action, environment)
}

const lines = () => ({
  permission: (action: string, effect = 'allow') => [
    'user:bob',
    `/${organization.id}/*`,
    'scenario:*',
    action,
    'true',
    effect,
  ],
  role: (name: string) => ['user:bob', `role:organization.${name}`, `/${organization.id}/*`],
})
const check = async (permission: string) =>
  (
    await server.call('POST /check', {
      organization: organization.slug,
      subject: 'user:bob',
      permission,
    })
  ).body.allowed

test('has the shape of Casbin’s interfaces', () => {
  const whole: Adapter = adapter as unknown as Adapter
  expect(Object.keys(whole).sort()).toEqual([
    ...[
      'addPolicies',
      'addPolicy',
      'isFiltered',
      'loadFilteredPolicy',
      'loadPolicy',
      'removeFilteredPolicy',
    ],
    ...['removePolicies', 'removePolicy', 'savePolicy', 'updatePolicy'],
  ])
})

test('lets stock Casbin decide as the server does', async () => {
  await server.call(`POST ${organization.path}/grants`, {
    subject: 'user:bob',
    permission: 'scenario:execute',
    resource: 'scenario:1',
  })
  const enforce = await stockCasbin()
  const asked = [
    ['scenario:1', 'read', true],
    ['scenario:1', 'execute', true],
    ['scenario:2', 'execute', false],
    ['scenario:1', 'delete', false],
  ] as const
  for (const [object, action, allowed] of asked) {
    expect([object, action, enforce('user:bob', object, action)]).toEqual([object, action, allowed])
    const question = {
      organization: organization.slug,
      subject: 'user:bob',
      permission: `scenario:${action}`,
      resource: object,
    }
    expect((await server.call('POST /check', question)).body.allowed).toBe(allowed)
  }
  expect(enforce('user:alice', 'scenario:1', 'delete')).toBe(true)
})

test('loads some subjects only, and says so', async () => {
  const enforce = await stockCasbin({ subjects: ['user:bob'] })
  expect([
    enforce('user:bob', 'scenario:1', 'read'),
    enforce('user:alice', 'scenario:1', 'read'),
  ]).toEqual([true, false])
  expect(adapter.isFiltered()).toBe(true)
  await expect(adapter.savePolicy({} as never)).rejects.toThrow(/filtered/)
})

test('adds, updates and removes lines as grants, each in one transaction with its event and revision', async () => {
  const { permission, role } = lines()
  await adapter.addPolicy('p', 'p', permission('execute'))
  await adapter.addPolicy('g', 'g', role('manager'))
  expect([await check('scenario:execute'), await check('scenario:share')]).toEqual([true, true])
  await adapter.updatePolicy('g', 'g', role('manager'), role('member'))
  expect([await check('scenario:share'), await check('scenario:create')]).toEqual([false, true])
  await adapter.updatePolicy('p', 'p', permission('execute'), permission('execute', 'deny'))
  expect(await check('scenario:execute')).toBe(false)
  await adapter.removePolicy('p', 'p', permission('execute', 'deny'))
  expect(await check('scenario:execute')).toBe(true)
  const events =
    await server.sql`select event from audit_events where log = ${organization.id} and event like 'grant.%'`
  expect(events).toHaveLength(7)
})

test('takes many lines, or none', async () => {
  const { permission } = lines()
  const bad = [
    permission('execute'),
    ['user:bob', `/${organization.id}/*`, 'scenario:*', 'fly', 'true', 'allow'],
  ]
  await expect(adapter.addPolicies('p', 'p', bad)).rejects.toThrow(/permission-unknown/)
  expect(await check('scenario:execute')).toBe(false)
  await adapter.addPolicies('p', 'p', [permission('execute'), permission('delete')])
  expect([await check('scenario:execute'), await check('scenario:delete')]).toEqual([true, true])
  await adapter.removePolicies('p', 'p', [permission('execute'), permission('delete')])
  expect([await check('scenario:execute'), await check('scenario:delete')]).toEqual([false, false])
})

test('removes by exact values: no pattern, and nothing where nothing is named', async () => {
  const { permission } = lines()
  await adapter.addPolicies('p', 'p', [permission('execute'), permission('delete')])
  await expect(adapter.removeFilteredPolicy('p', 'p', 0, '')).rejects.toThrow(/every line/)
  await adapter.removeFilteredPolicy('p', 'p', 0, 'like:%')
  await adapter.removeFilteredPolicy('p', 'p', 0, 'user:bob', '', '', 'execute')
  expect([await check('scenario:execute'), await check('scenario:delete')]).toEqual([false, true])
})

test('saves a model as the difference to what is stored', async () => {
  const model = newModelFromString(await readShipped('model.conf'))
  await adapter.loadPolicy(model)
  model.addPolicy('p', 'p', lines().permission('execute'))
  model.removePolicy('g', 'g', lines().role('viewer'))
  await adapter.savePolicy(model)
  expect([await check('scenario:execute'), await check('scenario:read')]).toEqual([true, false])
})

test('leaves roles, teams, owners and other organizations to their own APIs', async () => {
  const domain = `/${organization.id}/*`
  const refused = [
    ['p', ['role:organization.viewer', '*', 'scenario:*', 'delete', 'true', 'allow']],
    ['g', ['user:bob', 'team:eng', domain]],
    ['g', ['user:bob', 'role:organization.owner', domain]],
    ['p', ['user:bob', '*', 'scenario:*', 'delete', 'true', 'allow']],
    ['p', ['user:bob', domain, '*', 'delete', 'true', 'allow']],
  ] as const
  for (const [ptype, rule] of refused)
    await expect(adapter.addPolicy(ptype, ptype, [...rule])).rejects.toThrow(
      /casbin-line-read-only/,
    )
})
