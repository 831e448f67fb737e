import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'
import { startWorkerd, type Workerd } from '../support/workerd.ts'

let node: TestServer
let worker: Workerd
let url: string

/** The same server in workerd, over the same database. */
beforeAll(async () => {
  node = await startTestServer()
  worker = await startWorkerd((node.database.target as { url: string }).url)
  url = worker.url
}, 90_000)

afterAll(async () => {
  await worker?.stop()
  await node.drop()
})

const ask = async (body: unknown, key = node.adminKey) => {
  const answer = await fetch(`${url}/check`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

test('answers /healthz and /readyz in workerd', async () => {
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' })
  expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ status: 'ready', reasons: [] })
})

test('decides in workerd as on Node', async () => {
  const { path, slug } = await node.newOrganization()
  await node.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
  await node.call(`POST ${path}/grants`, {
    subject: 'user:bob',
    permission: 'scenario:execute',
    resource: 'scenario:42',
    condition: 'context.mfa == true',
  })
  const questions = [
    { subject: 'user:alice', permission: 'scenario:delete', resource: 'scenario:1' },
    { subject: 'user:bob', permission: 'scenario:read', resource: 'scenario:1' },
    { subject: 'user:bob', permission: 'scenario:execute', resource: 'scenario:42' },
    {
      subject: 'user:bob',
      permission: 'scenario:execute',
      resource: 'scenario:42',
      context: { mfa: true },
    },
    { subject: 'user:eve', permission: 'scenario:read' },
    { subject: 'user:bob', permission: 'scenario:exeute' },
  ].map((question) => ({ organization: slug, ...question }))
  const decided = []
  for (const question of questions) {
    const [there, here] = [await ask(question), await node.call('POST /check', question)]
    const { instance: _there, ...theirs } = there.body
    const { instance: _here, ...ours } = here.body
    expect([there.status, theirs]).toEqual([here.status, ours])
    decided.push(there.body.allowed)
  }
  expect(decided).toEqual([true, true, false, true, false, undefined])
})

test('refuses a wrong key, and sees a revoke made on Node when its token is demanded', async () => {
  expect((await ask({}, 'nonsense')).status).toBe(401)
  const { path, slug } = await node.newOrganization()
  await node.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
  const question = { organization: slug, subject: 'user:bob', permission: 'scenario:read' }
  expect((await ask({ ...question, consistency: 'full' })).body.allowed).toBe(true)
  const { revision } = await node.call(`PUT ${path}/members/bob`, { roles: [] })
  expect((await ask({ ...question, consistency: { atLeast: revision } })).body.allowed).toBe(false)
})

test('manages in workerd, too', async () => {
  const answer = await fetch(`${url}/v1/organizations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${node.adminKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: `Edge ${Math.random()}`, owner: 'alice' }),
  })
  const { id } = (await answer.json()) as { id: string }
  expect([answer.status, answer.headers.get('latchkey-revision')]).toEqual([
    201,
    expect.stringContaining(id),
  ])
})

test('a cron trigger runs what is due by the clock', async () => {
  const { id, path } = await node.newOrganization()
  await node.call(`PUT ${path}/members/bob`, { roles: [] })
  const expiresAt = new Date(Date.now() + 300).toISOString()
  const grant = { subject: 'user:bob', role: 'viewer', expiresAt }
  expect((await node.call(`POST ${path}/grants`, grant)).status).toBe(201)
  await new Promise((resolve) => setTimeout(resolve, 400))
  // The first trigger writes the schedules down; then a minute has to begin, which the test does not wait for.
  await worker.trigger()
  await node.sql`update job_schedules set seen_until = now() - interval '2 minutes' where name = 'grants.end-expired'`
  await worker.trigger()
  await until(
    async () => (await node.sql`select 1 from grants where organization_id = ${id}`).length === 0,
  )
  const [job] =
    await node.sql`select state, executor, result from finished_jobs where name = 'grants.end-expired'`
  expect(job).toEqual({ state: 'done', executor: 'cloudflare', result: { ended: 1 } })
  const [event] =
    await node.sql`select actor from audit_events where log = ${id} and event = 'grant.expired'`
  expect(event).toEqual({ actor: 'service:latchkey' })
})

test('counts in workerd what is asked there, and adds it to what other nodes count', async () => {
  const { path, slug } = await node.newOrganization()
  const question = { organization: slug, subject: 'user:alice', permission: 'scenario:delete' }
  let asked = 0
  const counted = async () => {
    await ask(question)
    asked++
    const { body } = await node.call(`GET ${path}/analytics?metrics=checks`)
    return body.items[0]?.value ?? 0
  }
  await node.call('POST /check', question)
  await node.metering.flush(node.sql)
  // What an isolate counted is written down with a later request.
  await until(async () => (await counted()) > 3)
  const { body } = await node.call(`GET ${path}/analytics?metrics=checks`)
  expect(body.items[0].value).toBeLessThanOrEqual(asked + 1)
})

/** An organization that holds so much that an archive of it is far from read when it is answered. */
const large = async (rows: number) => {
  const organization = await node.newOrganization()
  await node.sql`
    insert into members (organization_id, subject, attributes)
    select ${organization.id}, 'user:m' || i, jsonb_build_object('note', repeat('x', 200)) from generate_series(1, ${rows}) i`
  return organization
}

test('an archive is streamed whole: the connection lives until the answer was read', async () => {
  const { path } = await large(20_000)
  const answer = await fetch(`${url}${path}/archive`, {
    method: 'POST',
    headers: { authorization: `Bearer ${node.adminKey}` },
  })
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/x-ndjson'])
  const lines = (await answer.text()).trimEnd().split('\n')
  expect(lines.length).toBeGreaterThan(20_000)
  expect(JSON.parse(lines.at(-1)!)).toEqual({ complete: true, rows: lines.length - 1 })
})

test('a watcher hears in workerd of what is changed on Node', async () => {
  const { path } = await node.newOrganization()
  const leaving = new AbortController()
  const answer = await fetch(`${url}${path}/watch`, {
    headers: { authorization: `Bearer ${node.adminKey}` },
    signal: leaving.signal,
  })
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
  let heard = ''
  const hear = async (what: string) => {
    while (!heard.includes(what)) heard += (await reader.read()).value
  }
  await hear('event: ready')
  await node.call(`PUT ${path}/members/bob`, { roles: ['viewer'] })
  await hear('user:bob')
  leaving.abort()
})

test('a client that goes away leaves nobody waiting', async () => {
  const { slug } = await node.newOrganization()
  const question = { organization: slug, subject: 'user:alice', permission: 'scenario:delete' }
  const left = Array.from({ length: 20 }, async (_, index) => {
    const leaving = new AbortController()
    setTimeout(() => leaving.abort(), index)
    const body = JSON.stringify({ ...question, subject: `user:u${index}`, consistency: 'full' })
    const headers = {
      authorization: `Bearer ${node.adminKey}`,
      'content-type': 'application/json',
    }
    await fetch(`${url}/check`, { method: 'POST', headers, body, signal: leaving.signal }).catch(
      () => {},
    )
  })
  const asked = Array.from({ length: 20 }, () => ask({ ...question, consistency: 'full' }))
  await Promise.all(left)
  for (const answer of await Promise.all(asked)) expect(answer.body.allowed).toBe(true)
})

test('holds slices only: what needs everybody in a large organization is refused, and a check is not', async () => {
  const { path, slug } = await large(20_001)
  const question = { organization: slug, subject: 'user:alice', permission: 'scenario:delete' }
  expect((await ask({ ...question, consistency: 'full' })).body.allowed).toBe(true)
  const search = (server: string) =>
    fetch(`${server}${path}/search/subjects`, {
      method: 'POST',
      headers: { authorization: `Bearer ${node.adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ permission: 'scenario:delete' }),
    })
  const refused = await search(url)
  expect([refused.status, await refused.json()]).toMatchObject([
    409,
    { code: 'organization-too-large-here' },
  ])
})
