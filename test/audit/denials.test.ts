import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createDenials } from '../../src/audit/service.ts'
import type { Context } from '../../src/platform/context.ts'
import { connect } from '../../src/platform/db/connect.ts'
import { type Log, silentLog } from '../../src/platform/log.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let issuer: Issuer
let organization: Awaited<ReturnType<TestServer['newOrganization']>>

beforeAll(async () => {
  issuer = await startIssuer()
  server = await startTestServer({ jwt: issuer.settings })
})
afterAll(async () => {
  await server.drop()
  await issuer.stop()
})
beforeEach(async () => {
  organization = await server.newOrganization()
})

/** The refusals of a log, once every one of them is written. */
/** What is in the log once nothing more comes: nobody who is refused waits for it. */
const denialsOf = async (log: string, actor: string) => {
  let rows: { body: string; outcome: string; resource: string }[] = []
  for (let quiet = 0, before = -1; quiet < 3; quiet = rows.length === before ? quiet + 1 : 0) {
    before = rows.length
    await new Promise((resolve) => setTimeout(resolve, 20))
    await server.denials.flush()
    rows = await server.sql<typeof rows>`
      select body, outcome, resource from audit_events
      where log = ${log} and actor = ${actor} and event = 'access.denied' order by id`
  }
  return rows.map(({ body, ...row }) => ({ ...row, ...JSON.parse(body) }))
}
const keyOf = async () => {
  const key = await organization.keyFor({ permissions: ['team:read'] })
  return { key, actor: `key:key_${key.slice(3, 29)}` }
}

describe('a refusal', () => {
  test('of a permission leaves an event with who, what, where and which request', async () => {
    const { key, actor } = await keyOf()
    const headers = { 'x-request-id': 'refused-1' }
    const { status } = await server.call(`GET ${organization.path}/members`, undefined, {
      key,
      headers,
    })
    expect(status).toBe(403)
    expect(await denialsOf(organization.id, actor)).toMatchObject([
      {
        outcome: 'denied',
        resource: 'access:org:read',
        event: 'access.denied',
        reason: 'forbidden',
        count: 1,
        requestId: 'refused-1',
        apiKeyId: actor.slice(4),
      },
    ])
  })

  test('above the ceiling leaves one, too, and no change', async () => {
    const key = await organization.keyFor({ permissions: ['role:assign', 'team:read'] })
    const grant = { subject: 'user:alice', permission: 'scenario:delete' }
    await server.call(`POST ${organization.path}/grants`, grant, { key })
    expect(await denialsOf(organization.id, `key:key_${key.slice(3, 29)}`)).toMatchObject([
      { resource: 'access:scenario:delete', reason: 'above-ceiling' },
    ])
  })

  test('of a question is of the organization of the key', async () => {
    const { key, actor } = await keyOf()
    const question = { subject: 'user:alice', permission: 'scenario:read' }
    const body = { organization: organization.slug, ...question }
    expect((await server.call('POST /check', body, { key })).status).toBe(403)
    expect(await denialsOf(organization.id, actor)).toMatchObject([
      { resource: 'access:decision:check' },
    ])
  })

  test('of a person outside any organization is of the platform', async () => {
    const key = await issuer.tokenOf('frida')
    await server.call('POST /v1/permissions', { key: 'x:y', scope: 'workspace' }, { key })
    expect(await denialsOf('platform', 'user:frida')).toMatchObject([
      { resource: 'access:permission:manage', apiKeyId: null },
    ])
  })

  test('of somebody unknown is of nobody, with nothing of the token', async () => {
    const key = `lk_${'0'.repeat(26)}_${'s'.repeat(43)}`
    await server.call('GET /v1/organizations', undefined, { key })
    const denials = await denialsOf('platform', 'anonymous')
    expect(denials).toMatchObject([{ resource: 'access:unauthenticated', count: 1 }])
    expect(JSON.stringify(denials)).not.toContain('sss')
  })

  test('repeated is counted, and written once with the count', async () => {
    const { key, actor } = await keyOf()
    for (let time = 0; time < 7; time++)
      await server.call(`GET ${organization.path}/members`, undefined, { key })
    await server.call(`GET ${organization.path}/roles`, undefined, { key })
    const denials = await denialsOf(organization.id, actor)
    // What is repeated is written with its count when the minute ends, the last first refusal perhaps after it.
    const told = denials.map(({ resource, count }) => `${resource} ${count}`)
    expect(told.toSorted()).toEqual([
      'access:org:read 1',
      'access:org:read 6',
      'access:role:read 1',
    ])
  })

  test('that is an answer is none: a deny, a 404, a 422 leave no event', async () => {
    const { key, actor } = await keyOf()
    await server.call('GET /v1/organizations/nowhere', undefined, { key })
    await server.call(`GET ${organization.path}/teams/none`, undefined, { key })
    expect(await denialsOf(organization.id, actor)).toEqual([])
  })
})

describe('the log of refusals', () => {
  const contextOf = (more: Partial<Context>): Context => ({
    ...server.context,
    actor: { ...server.context.actor, subject: `user:${Math.random()}` },
    organizationId: organization.id,
    ...more,
  })
  const refused = { code: 'forbidden', permission: 'org:read' }

  test('writes what was counted when the minute is over', async () => {
    const denials = createDenials({ windowMs: 150 })
    const context = contextOf({})
    for (let time = 0; time < 4; time++) denials.note(context, refused)
    await new Promise((resolve) => setTimeout(resolve, 400))
    const counts = async () =>
      (await denialsOf(organization.id, context.actor.subject)).map(({ count }) => count)
    expect(await counts()).toEqual([1, 3])
    denials.note(context, refused)
    await denials.flush()
    expect(await counts()).toEqual([1, 3, 1])
  })

  test('begins a new minute also where no timer came', async () => {
    let nowMs = Date.now()
    const denials = createDenials()
    const context = contextOf({ now: () => new Date(nowMs) })
    denials.note(context, refused)
    denials.note(context, refused)
    nowMs += 61_000
    denials.note(context, refused)
    await denials.flush()
    const written = await denialsOf(organization.id, context.actor.subject)
    expect(written.map(({ count }) => count).toSorted()).toEqual([1, 1, 1])
  })

  test('fails without harm where the database is away', async () => {
    const warnings: string[] = []
    const log: Log = { ...silentLog, warn: (_fields, message) => warnings.push(message) }
    const sql = connect({ url: 'postgres://nobody@127.0.0.1:9/none' }, { connectTimeoutSeconds: 1 })
    await sql.end()
    const denials = createDenials()
    denials.note(contextOf({ sql, log }), refused)
    await denials.flush()
    expect(warnings).toEqual(['a refusal is not in the log'])
  })
})
