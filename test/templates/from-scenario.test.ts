import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { givenPublisher, type Publisher } from './given.ts'

let server: TestServer
let mine: Publisher
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  mine = await givenPublisher(server)
  await mine.must(`POST ${mine.path}/workspaces`, { name: 'Lab', slug: 'lab' })
})

/** Put together when it runs, so that nobody who looks for secrets in this repository finds one. */
const SECRET = ['gh', 'p_', 'aB3dE6gH9jK2mN5pQ8'.repeat(2)].join('')
const scenario = async (organization: Publisher, definition: object) =>
  (
    await organization.must(`POST ${organization.path}/workspaces/lab/scenarios`, {
      name: 'Flow',
      definition,
    })
  ).id as string
const texts = { name: 'Made', category: 'other', license: 'MIT' }

describe('a template of a scenario', () => {
  test('holds what the scenario does, and nothing of where it ran', async () => {
    const fromScenario = await scenario(mine, {
      pinData: { A: [{ json: { customer: 'Ada' } }] },
      nodes: [
        {
          name: 'Issue',
          type: 'n8n-nodes-base.github',
          parameters: { token: SECRET, url: 'https://api.github.com/x' },
          credentials: { githubApi: { id: '42', name: 'Our account' } },
        },
      ],
    })
    const made = await mine.make({ definition: undefined, fromScenario })
    expect(made.status).toBe(201)
    const version = await mine.must(`GET ${made.at}/versions/0.1.0`)
    expect(
      version.inputs.map(({ name, type }: { name: string; type: string }) => [name, type]),
    ).toEqual([
      ['githubapi', 'connection'],
      ['issue-token', 'secret'],
    ])
    expect(version.capabilities).toEqual([
      'host:api.github.com',
      'integration:github',
      'permission:connection:share',
    ])
    const answer = JSON.stringify([
      version,
      await mine.must(`GET ${made.at}/versions/0.1.0/content`),
    ])
    for (const gone of [SECRET, 'Ada', 'Our account', '"42"']) expect(answer).not.toContain(gone)
    // Nor does the log hold it.
    const [logged] = await server.sql`
      select count(*)::int as events from audit_events where log = ${mine.id} and body like ${`%${SECRET}%`}`
    expect(logged!.events).toBe(0)
    const next = await mine.must(`POST ${made.at}/versions`, { version: '0.1.1', fromScenario })
    expect(next.integrity).toBe(version.integrity)
  })

  test('is made by whoever may make one of that very scenario', async () => {
    const [fromScenario, other] = [await scenario(mine, {}), await scenario(mine, {})]
    const key = await mine.keyFor({ permissions: ['template:create', 'template:update'] })
    const subject = `key:key_${key.slice(3, 29)}`
    const grant = (permission: string, id: string) =>
      mine.must(`POST ${mine.path}/grants`, { subject, permission, resource: `scenario:${id}` })
    const make = (id: string) =>
      server.call(
        `POST ${mine.path}/templates`,
        { ...texts, slug: `s${Math.random().toString(36).slice(2)}`, fromScenario: id },
        { key },
      )
    // Not even read: it does not exist.
    const hidden = await make(fromScenario)
    expect([hidden.status, hidden.body.code]).toEqual([404, 'scenario-not-found'])
    await grant('scenario:read', fromScenario)
    const read = await make(fromScenario)
    expect([read.status, read.body.permission]).toEqual([403, 'scenario:template:create'])
    await grant('scenario:template:create', fromScenario)
    expect((await make(fromScenario)).status).toBe(201)
    expect((await make(other)).status).toBe(404)
    // The same for a version of a template that is there.
    const { at } = await mine.make()
    const version = (id: string, what: string) =>
      server.call(
        what,
        { ...(what.startsWith('POST') ? { version: '1.0.0' } : {}), fromScenario: id },
        { key },
      )
    for (const what of [`POST ${at}/versions`, `PATCH ${at}/versions/0.1.0`]) {
      expect((await version(other, what)).status).toBe(404)
      expect((await version(fromScenario, what)).status).toBeLessThan(300)
    }
  })

  test('is not made of a scenario of strangers, whoever asks', async () => {
    const eve = await givenPublisher(server)
    await eve.must(`POST ${eve.path}/workspaces`, { name: 'Lab', slug: 'lab' })
    const theirs = await scenario(eve, { nodes: [] })
    const key = await mine.keyFor({ roles: ['admin'] })
    for (const options of [{ key }, {}])
      for (const id of [theirs, `scn_${'0'.repeat(26)}`]) {
        const body = { ...texts, slug: 'stolen', fromScenario: id }
        const refused = await server.call(`POST ${mine.path}/templates`, body, options)
        expect([refused.status, refused.body.code]).toEqual([404, 'scenario-not-found'])
      }
  })

  test('needs one source, and is no role pack', async () => {
    const fromScenario = await scenario(mine, {})
    expect((await mine.make({ fromScenario })).status).toBe(400)
    const { at } = await mine.make()
    for (const body of [{ version: '1.0.0' }, { version: '1.0.0', definition: {}, fromScenario }])
      expect((await server.call(`POST ${at}/versions`, body)).status).toBe(400)
    const pack = await mine.make({ kind: 'role_pack', definition: undefined, fromScenario })
    expect([pack.status, pack.body.code]).toEqual([422, 'kind-mismatch'])
  })
})

describe('an uploaded definition', () => {
  test('is treated the same, and refused where no input can take a secret’s place', async () => {
    const made = await mine.make({ definition: { nodes: [{ parameters: { note: SECRET } }] } })
    const content = await mine.must(`GET ${made.at}/versions/0.1.0/content`)
    expect(content.definition).toEqual({ nodes: [{ parameters: { note: { $input: 'note' } } }] })
    const inKey = await mine.make({ definition: { [SECRET]: 1 } })
    expect([inKey.status, inKey.body.code]).toEqual([422, 'secret-found'])
    expect(JSON.stringify(inKey.body)).not.toContain(SECRET)
    const input = await mine.make({ definition: { a: { $input: 'no name' } } })
    expect([input.status, input.body.code]).toEqual([422, 'input-name-malformed'])
  })

  test('is bounded before anything walks through it', async () => {
    const text = `{"version":"1.0.0","definition":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`
    const { at } = await mine.make()
    expect([400, 422]).toContain((await server.call(`POST ${at}/versions`, text)).status)
    const nodes = Array.from({ length: 2001 }, () => ({}))
    const many = await server.call(`POST ${at}/versions`, {
      version: '1.0.0',
      definition: { nodes },
    })
    expect([many.status, many.body.errors[0].pointer]).toEqual([422, '/definition/nodes'])
  })

  test('tells of a secret in words that are shown with it', async () => {
    const { at } = await mine.make({ description: `Use ${SECRET} to try it.` })
    const { checks } = await mine.must(`POST ${at}/versions/0.1.0/checks`)
    const [secrets] = checks.filter(({ name }: { name: string }) => name === 'secrets')
    expect(secrets).toMatchObject({ result: 'failed', pointer: '/description' })
    await mine.must(`PUT ${at}/visibility`, { visibility: 'public' })
    expect((await server.call(`POST ${at}/versions/0.1.0/submit`, {})).status).toBe(422)
  })
})

describe('the checks', () => {
  const of = async (at: string, name: string) => {
    const { checks } = await mine.must(`POST ${at}/versions/0.1.0/checks`)
    return checks.filter((check: { name: string }) => check.name === name)
  }

  test('warn of addresses that are only known when it runs', async () => {
    const open = {
      nodes: [{ type: 'n8n-nodes-base.httpRequest', parameters: { url: '={{ $json.url }}' } }],
    }
    const { at } = await mine.make({ definition: open })
    expect((await of(at, 'hosts'))[0].result).toBe('warning')
  })

  test('refuse a name that can be taken for one of another publisher with more installations', async () => {
    const theirs = await givenPublisher(server)
    const name = `Invoice Robot ${theirs.slug}`
    const { body } = await theirs.list({ name })
    const { at } = await mine.make({ name: name.replace('Invoice Robot', 'lnvoice R0bot') })
    // As long as neither has more, nobody is imitated.
    expect((await of(at, 'look-alike'))[0].result).toBe('passed')
    await server.sql`update templates set install_count = 3 where id = ${body.id}`
    expect((await of(at, 'look-alike'))[0]).toMatchObject({ result: 'failed', pointer: '/name' })
    await mine.must(`PUT ${at}/visibility`, { visibility: 'public' })
    expect((await server.call(`POST ${at}/versions/0.1.0/submit`, {})).body.code).toBe(
      'checks-failed',
    )
  })

  test('flag a license that does not fit what it was made of', async () => {
    const theirs = await givenPublisher(server)
    const original = await theirs.list({ license: 'GPL-3.0-only' })
    const derivedFrom = { template: original.body.id, version: '0.1.0' }
    const made = await mine.make({ derivedFrom })
    expect(made.body.derivedFrom).toEqual(derivedFrom)
    expect((await of(made.at, 'license'))[0].result).toBe('warning')
    const same = await mine.make({ derivedFrom, license: 'GPL-3.0-or-later' })
    expect((await of(same.at, 'license'))[0].result).toBe('passed')
    const own = await mine.make({ license: 'LicenseRef-Ours' })
    expect((await of(own.at, 'license'))[0].result).toBe('warning')
  })
})
