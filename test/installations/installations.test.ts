import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { noticeUpdates } from '../../src/installations/notice.ts'
import { endDeletedOrganizations } from '../../src/organizations/service.ts'
import { newId } from '../../src/platform/id.ts'
import { startWorkers } from '../../src/platform/jobs/workers.ts'
import { silentLog } from '../../src/platform/log.ts'
import { integrityOf } from '../../src/templates/integrity.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { untilIdle } from '../support/jobs.ts'
import { putListed } from '../support/listed.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let issuer: Issuer
let server: TestServer
let publisher: Awaited<ReturnType<TestServer['newOrganization']>>
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
  ;[publisher, organization] = [await server.newOrganization(), await server.newOrganization()]
  await must(`POST ${organization.path}/workspaces`, { name: 'Sales', slug: 'sales' })
})

const must = async (...given: Parameters<TestServer['call']>) => {
  const { status, body } = await server.call(...given)
  expect([given[0], status < 300, body?.detail]).toEqual([given[0], true, undefined])
  return body
}
const GREETING = [{ name: 'greeting', type: 'text', label: 'Greeting', isRequired: true }]
const greeter = (text: unknown = { $input: 'greeting' }, more: object[] = []) =>
  JSON.stringify({ nodes: [{ id: 'a', text }, ...more] })
const list = (over: object = {}) =>
  putListed(server, publisher.id, { definition: greeter(), inputs: GREETING, ...over })
const install = (body: object, options = {}) =>
  server.call(`POST ${organization.path}/installations`, { workspace: 'sales', ...body }, options)
const installed = async (body: object) => {
  const { status, body: made } = await install(body)
  expect([status, made.detail]).toEqual([201, undefined])
  return made
}
const scenarioOf = async (id: string) =>
  must(`GET ${organization.path}/workspaces/sales/scenarios/${id}`)
/** Another approved, published version, put there past the API. */
const release = async (
  templateId: string,
  [major, minor, patch]: [number, number, number],
  { definition = greeter(), capabilities = [] as string[], inputs = GREETING as unknown[] } = {},
) => {
  const id = newId('ver')
  const integrity = await integrityOf(definition)
  await server.sql`insert into template_versions ${server.sql({
    ...{ id, templateId, major, minor, patch, definition, integrity, status: 'published' },
    ...{ sizeBytes: new TextEncoder().encode(definition).length, approvedIntegrity: integrity },
    ...{ capabilities: server.sql.json(capabilities), inputs: server.sql.json(inputs as never) },
    publishedAt: new Date(),
  })}`
  return id
}

describe('installing', () => {
  test('makes a scenario with its inputs filled in, whose owner is who installs', async () => {
    const { id } = await list({ name: 'Greeter' })
    const made = await installed({ template: id, inputs: { greeting: 'Hello' } })
    expect(made).toMatchObject({
      template: { id, name: 'Greeter' },
      version: '1.0.0',
      workspace: 'sales',
      status: 'active',
      quarantine: null,
      updateAvailable: null,
    })
    const scenario = await scenarioOf(made.scenario)
    expect([scenario.name, scenario.definition]).toEqual([
      'Greeter',
      { nodes: [{ id: 'a', text: 'Hello' }] },
    ])
  })

  test('asks for every input, of its kind, and for nothing else', async () => {
    const { id } = await list()
    const refused = async (inputs: object) => {
      const { status, body } = await install({ template: id, inputs })
      return [status, body.code, body.errors[0].pointer]
    }
    expect(await refused({})).toEqual([422, 'inputs-missing', '/inputs/greeting'])
    expect(await refused({ greeting: 7 })).toEqual([422, 'input-unfit', '/inputs/greeting'])
    expect(await refused({ greeting: 'x', other: 'y' })).toEqual([
      422,
      'input-unknown',
      '/inputs/other',
    ])
    expect(await refused({ greeting: { $connection: 'x' } })).toEqual([
      400,
      'invalid-request',
      '/inputs/greeting',
    ])
    const { items } = await must(`GET ${organization.path}/workspaces/sales/scenarios`)
    expect(items).toEqual([])
  })

  test('needs consent to exactly what was shown', async () => {
    const { id } = await list({ capabilities: ['integration:slack', 'host:api.example.com'] })
    const body = { template: id, inputs: { greeting: 'x' } }
    const shown = await install(body)
    expect([shown.status, shown.body.code, shown.body.capabilities]).toEqual([
      409,
      'consent-required',
      ['integration:slack', 'host:api.example.com'],
    ])
    const other = await list({ capabilities: ['integration:slack'] })
    const foreign = (await install({ ...body, template: other.id })).body.consent
    expect((await install({ ...body, consent: foreign })).body.code).toBe('consent-required')
    expect((await install({ ...body, consent: shown.body.consent })).status).toBe(201)
  })

  test('is refused to who does not hold all that it will use there, and says what', async () => {
    const { id } = await list({
      capabilities: ['permission:scenario:execute', 'permission:connection:share'],
    })
    const body = { template: id, inputs: { greeting: 'x' } }
    const key = await organization.keyFor({
      permissions: ['template:install', 'template:read', 'scenario:create', 'scenario:execute'],
    })
    const refused = await install(body, { key })
    expect([refused.status, refused.body.code, refused.body.missing]).toEqual([
      403,
      'install-above-ceiling',
      ['connection:share'],
    ])
    const none = await organization.keyFor({ permissions: ['template:install'] })
    expect((await install(body, { key: none })).body.missing).toEqual([
      'connection:share',
      'scenario:create',
      'scenario:execute',
    ])
  })

  test('uses only connections that the installer may share, by their ids', async () => {
    const inputs = [
      { name: 'slack', type: 'connection', label: 'Slack', integration: 'slack', isRequired: true },
    ]
    const { id } = await list({ definition: greeter({ $input: 'slack' }), inputs })
    await must(`PUT ${organization.path}/resources/connection/c1`, { workspace: 'sales' })
    const key = await organization.keyFor({
      permissions: ['template:install', 'template:read', 'scenario:create'],
    })
    const body = { template: id, inputs: { slack: 'c1' } }
    expect((await install(body, { key })).body).toMatchObject({
      code: 'connection-unusable',
      errors: [{ pointer: '/inputs/slack' }],
    })
    const made = await installed(body)
    expect((await scenarioOf(made.scenario)).definition.nodes[0].text).toEqual({
      $connection: 'c1',
    })
  })

  test('of what is private, unapproved, taken down, blocked or not bought is refused as a download is', async () => {
    const inputs = { greeting: 'x' }
    const refused = async (template: string, more: object = {}) => {
      const { status, body } = await install({ template, inputs, ...more })
      return [status, body.code]
    }
    const hidden = await list({ visibility: 'private', listing: 'draft' })
    expect(await refused(hidden.id)).toEqual([404, 'template-not-found'])
    const { id, versionId } = await list()
    expect(await refused(id, { version: '2.0.0' })).toEqual([404, 'version-not-found'])
    await server.sql`update template_versions set status = 'yanked' where id = ${versionId}`
    expect(await refused(id, { version: '1.0.0' })).toEqual([410, 'version-yanked'])
    await server.sql`update template_versions set status = 'blocked' where id = ${versionId}`
    expect(await refused(id, { version: '1.0.0' })).toEqual([410, 'template-withdrawn'])
    const down = await list()
    await server.sql`update templates set listing = 'taken_down' where id = ${down.id}`
    expect(await refused(down.id)).toEqual([410, 'template-withdrawn'])
    const paid = await list()
    await must(`PUT ${publisher.path}/templates/${paid.id}/prices`, {
      prices: [{ currency: 'EUR', amountMinor: 100 }],
    })
    const { status, body } = await install({ template: paid.id, inputs })
    expect([status, body.code, body.prices]).toEqual([
      402,
      'purchase-required',
      [{ currency: 'EUR', amountMinor: 100 }],
    ])
  })

  test('counts an organization once', async () => {
    const { id } = await list()
    for (let time = 0; time < 3; time++)
      await installed({ template: id, inputs: { greeting: 'x' } })
    const [counted] =
      await server.sql`select install_count::int, (select installs from template_days where template_id = t.id)
      from templates t where id = ${id}`
    expect(counted).toEqual({ installCount: 1, installs: 1 })
  })
})

describe('the policy of an organization', () => {
  const policy = (body: object) => must(`PUT ${organization.path}/installation-policy`, body)
  const refusedRule = async (template: string) => {
    const { status, body } = await install({ template, inputs: { greeting: 'x' } })
    return [status, body.code, body.rule]
  }

  test('lets in verified publishers, some licenses, what is old enough, without what is denied', async () => {
    const { id } = await list({ capabilities: ['code'] })
    for (const [rule, body] of Object.entries({
      verifiedOnly: { verifiedOnly: true },
      licenses: { licenses: ['Apache-2.0'] },
      minimumAgeDays: { minimumAgeDays: 3 },
      capabilitiesDenied: { capabilitiesDenied: ['code'] },
    })) {
      await policy(body)
      expect(await refusedRule(id)).toEqual([403, 'installation-policy', rule])
    }
    await policy({ licenses: ['MIT'], capabilitiesDenied: ['host:*'] })
    expect((await refusedRule(id))[1]).toBe('consent-required')
    expect(await must(`GET ${organization.path}/installation-policy`)).toMatchObject({
      licenses: ['MIT'],
      approval: false,
    })
    // The address list and the like stand beside it, untouched.
    const { ipAllowList } = await must(`GET ${organization.path}/security`)
    expect(ipAllowList).toEqual([])
  })

  test('may want somebody else’s approval: until then nothing is made', async () => {
    await policy({ approval: true })
    const { id } = await list()
    const asker = await organization.keyFor({
      permissions: ['template:install', 'template:read', 'scenario:create'],
    })
    const { body } = await install({ template: id, inputs: { greeting: 'x' } }, { key: asker })
    expect([body.status, body.scenario]).toEqual(['pending', null])
    const at = `${organization.path}/installations/${body.id}`
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => server.call(`POST ${at}/approve`)),
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409])
    const { items } = await must(`GET ${organization.path}/workspaces/sales/scenarios`)
    expect(items).toHaveLength(1)
    // What was made is the asker's.
    expect(items[0].owner).toBe(`key_${asker.slice(3, 29)}`)
  })

  test('is not one’s own to approve, and not where the asker has lost what it needs', async () => {
    await policy({ approval: true })
    const { id } = await list()
    const own = await install({ template: id, inputs: { greeting: 'x' } })
    const mine = `${organization.path}/installations/${own.body.id}`
    expect((await server.call(`POST ${mine}/approve`)).body.code).toBe('own-installation')
    await must(`PUT ${organization.path}/members/bob`, { roles: ['admin'] })
    const bob = await issuer.tokenOf('bob')
    const asked = await install({ template: id, inputs: { greeting: 'x' } }, { key: bob })
    await must(`PUT ${organization.path}/members/bob`, { roles: [] })
    const at = `${organization.path}/installations/${asked.body.id}`
    const refused = await server.call(`POST ${at}/approve`)
    expect([refused.status, refused.body.code]).toEqual([403, 'install-above-ceiling'])
    expect((await must(`POST ${at}/refuse`)).status).toBe('refused')
  })
})

describe('an update', () => {
  const at = (id: string) => `${organization.path}/installations/${id}`
  const edit = (scenario: string, definition: object) =>
    must(`PATCH ${organization.path}/workspaces/sales/scenarios/${scenario}`, { definition })

  test('keeps what was changed here, takes what is new, and can be taken back exactly', async () => {
    const { id } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'Hello' } })
    await edit(made.scenario, { nodes: [{ id: 'a', text: 'Hello' }, { id: 'mine' }] })
    await release(id, [1, 1, 0], { definition: greeter(undefined, [{ id: 'new' }]) })
    const preview = await must(`GET ${at(made.id)}/update`)
    expect(preview).toMatchObject({ from: '1.0.0', to: '1.1.0', conflicts: [], consent: null })
    const updated = await must(`POST ${at(made.id)}/update`, {})
    expect(updated.version).toBe('1.1.0')
    const nodes = [{ id: 'a', text: 'Hello' }, { id: 'mine' }, { id: 'new' }]
    expect((await scenarioOf(made.scenario)).definition).toEqual({ nodes })
    expect(preview.merged).toEqual({ nodes })
    const back = await must(`POST ${at(made.id)}/rollback`, {})
    expect(back.version).toBe('1.0.0')
    expect((await scenarioOf(made.scenario)).definition.nodes).toEqual(nodes.slice(0, 2))
    expect((await server.call(`POST ${at(made.id)}/rollback`, {})).body.code).toBe('no-such-step')
  })

  test('lists what both sides changed, and waits for an answer', async () => {
    const { id } = await list({ definition: greeter('Hi'), inputs: [] })
    const made = await installed({ template: id })
    await edit(made.scenario, { nodes: [{ id: 'a', text: 'Moin' }] })
    await release(id, [1, 0, 1], { definition: greeter('Hello'), inputs: [] })
    const refused = await server.call(`POST ${at(made.id)}/update`, {})
    const conflict = { path: '/nodes/a/text', base: 'Hi', theirs: 'Hello', ours: 'Moin' }
    expect([refused.status, refused.body.code, refused.body.conflicts]).toEqual([
      409,
      'update-conflicts',
      [conflict],
    ])
    expect((await scenarioOf(made.scenario)).definition.nodes[0].text).toBe('Moin')
    const resolutions = [{ path: conflict.path, take: 'theirs' }]
    await must(`POST ${at(made.id)}/update`, { resolutions })
    expect((await scenarioOf(made.scenario)).definition.nodes[0].text).toBe('Hello')
  })

  test('that can do more needs consent anew, and somebody who holds it', async () => {
    const { id } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    const capabilities = ['permission:connection:share']
    await release(id, [2, 0, 0], { capabilities, definition: greeter(undefined, [{ id: 'b' }]) })
    const key = await organization.keyFor({
      permissions: ['template:install', 'template:read', 'scenario:create', 'scenario:update'],
    })
    const poor = await server.call(`POST ${at(made.id)}/update`, {}, { key })
    expect(poor.body.code).toBe('install-above-ceiling')
    const refused = await server.call(`POST ${at(made.id)}/update`, {})
    expect([refused.status, refused.body.code]).toEqual([409, 'consent-required'])
    const preview = await must(`GET ${at(made.id)}/update`)
    expect(preview.capabilities.added).toEqual(capabilities)
    const { consent } = preview
    expect((await must(`POST ${at(made.id)}/update`, { consent })).capabilities).toEqual(
      capabilities,
    )
  })

  test('of eight at once is one', async () => {
    const { id } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    await release(id, [1, 0, 1], { definition: greeter(undefined, [{ id: 'b' }]) })
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => server.call(`POST ${at(made.id)}/update`, { to: '1.0.1' })),
    )
    const codes = answers.map(({ status, body }) => (status === 200 ? 'ok' : body.code))
    expect(codes.filter((code) => code === 'ok').length).toBeGreaterThan(0)
    expect(codes.filter((code) => code !== 'ok' && code !== 'installation-changed')).toEqual([])
    const [{ steps }] = (await server.sql`select count(*)::int as steps from installation_history
      where installation_id = ${made.id}`) as never as [{ steps: number }]
    expect(steps).toBe(codes.filter((code) => code === 'ok').length)
    expect((await scenarioOf(made.scenario)).definition.nodes).toHaveLength(2)
  })

  test('is noticed once for each version, silent where the bytes are equal, and made unasked where wanted', async () => {
    const { id } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    const patched = await installed({
      template: id,
      inputs: { greeting: 'y' },
      updatePolicy: 'patch',
    })
    const signal = new AbortController().signal
    const notices = async () =>
      (
        await server.sql`select body from audit_events where event = 'installation.update-available'
          and log = ${organization.id} order by id`
      ).map(({ body }) => JSON.parse(body as string).after.newest)
    await release(id, [1, 0, 1])
    await noticeUpdates(server.context, signal)
    expect(await notices()).toEqual([])
    await release(id, [1, 0, 2], { definition: greeter(undefined, [{ id: 'b' }]) })
    await noticeUpdates(server.context, signal)
    await noticeUpdates(server.context, signal)
    expect(await notices()).toEqual(['1.0.2'])
    expect((await must(`GET ${at(patched.id)}`)).version).toBe('1.0.2')
    const available = await must(`GET ${organization.path}/installations?updates=available`)
    expect(available.items.map((each: { id: string }) => each.id)).toEqual([made.id])
    // Wider than agreed to: not unasked.
    await release(id, [1, 0, 3], {
      definition: greeter(undefined, [{ id: 'c' }]),
      capabilities: ['code'],
    })
    await noticeUpdates(server.context, signal)
    expect((await must(`GET ${at(patched.id)}`)).version).toBe('1.0.2')
    expect(await notices()).toEqual(['1.0.2', '1.0.3', '1.0.3'])
  })
})

const check = async (scenario: string) =>
  (
    await server.call('POST /check', {
      organization: organization.slug,
      subject: 'user:alice',
      permission: 'scenario:execute',
      resource: `scenario:${scenario}`,
    })
  ).body.allowed
const runJobs = async () => {
  const workers = await startWorkers({
    ...server.jobs.runOptions(server.sql),
    ...{ log: silentLog, version: 'test', queues: ['maintenance'], pollMs: 50 },
  })
  await untilIdle(server.sql)
  await workers.stop()
}

describe('an advisory', () => {
  const advisories = (template: string) => `${publisher.path}/templates/${template}/advisories`
  const warn = (template: string) =>
    must(`POST ${advisories(template)}`, {
      affectedRange: '<1.0.1',
      severity: 'high',
      summary: 'It tells too much.',
      fixedIn: '1.0.1',
    })
  test('quarantines where the organization wants that, and lifting it restores exactly what was', async () => {
    await must(`PUT ${organization.path}/installation-policy`, { onAdvisory: 'quarantine' })
    const { id } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    const before = await scenarioOf(made.scenario)
    expect(await check(made.scenario)).toBe(true)
    const advisory = await warn(id)
    await runJobs()
    expect(
      (await must(`GET ${organization.path}/installations/${made.id}`)).quarantine,
    ).toMatchObject({
      by: advisory.id,
    })
    expect(await check(made.scenario)).toBe(false)
    await must(`POST ${advisories(id)}/${advisory.id}/withdraw`)
    await runJobs()
    expect(await check(made.scenario)).toBe(true)
    expect(await scenarioOf(made.scenario)).toEqual({ ...before, updatedAt: expect.any(String) })
  })

  test('ends with the update that mends it, and by the organization’s own word', async () => {
    await must(`PUT ${organization.path}/installation-policy`, { onAdvisory: 'quarantine' })
    const { id } = await list()
    const [one, two] = [
      await installed({ template: id, inputs: { greeting: 'x' } }),
      await installed({ template: id, inputs: { greeting: 'y' } }),
    ]
    await warn(id)
    await runJobs()
    await release(id, [1, 0, 1], { definition: greeter(undefined, [{ id: 'b' }]) })
    const at = `${organization.path}/installations`
    expect((await must(`POST ${at}/${one.id}/update`, {})).quarantine).toBeNull()
    expect(await check(one.scenario)).toBe(true)
    expect(await check(two.scenario)).toBe(false)
    expect(
      (await must(`POST ${at}/${two.id}/release`, { reason: 'looked at' })).quarantine,
    ).toBeNull()
    expect(await check(two.scenario)).toBe(true)
  })

  test('only warns where that is wanted', async () => {
    const { id } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    await warn(id)
    await runJobs()
    expect(await check(made.scenario)).toBe(true)
    const events = await server.sql`select 1 from audit_events where event = 'installation.advised'
      and resource = ${`installation:${made.id}`}`
    expect(events).toHaveLength(1)
  })

  test('a block by moderators quarantines everywhere, and only they lift it', async () => {
    const { id, versionId } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    const version = `/v1/marketplace/moderation/versions/${versionId}`
    await must(`POST ${version}/block`, { reasonCode: 'malware', note: 'It is.', quarantine: true })
    await runJobs()
    expect(await check(made.scenario)).toBe(false)
    const released = await server.call(
      `POST ${organization.path}/installations/${made.id}/release`,
      {
        reason: 'no',
      },
    )
    expect([released.status, released.body.code]).toEqual([403, 'quarantined-by-moderators'])
    await must(`POST ${version}/unblock`, {})
    await runJobs()
    expect(await check(made.scenario)).toBe(true)
  })
})

describe('several reasons to keep it from running', () => {
  const at = (id: string, what = '') => `${organization.path}/installations/${id}${what}`
  const by = async (id: string) => (await must(`GET ${at(id)}`)).quarantine?.by ?? null
  const warned = async (template: string, affectedRange = '<1.0.1') => {
    const said = {
      affectedRange,
      severity: 'high',
      summary: 'It tells too much.',
      fixedIn: '1.0.1',
    }
    const { id } = await must(`POST ${publisher.path}/templates/${template}/advisories`, said)
    await runJobs()
    return id as string
  }
  const withdrawn = async (template: string, advisory: string) => {
    await must(`POST ${publisher.path}/templates/${template}/advisories/${advisory}/withdraw`)
    await runJobs()
  }
  const version = (id: string) => `/v1/marketplace/moderation/versions/${id}`
  const blocked = async (id: string) => {
    await must(`POST ${version(id)}/block`, {
      reasonCode: 'malware',
      note: 'It is.',
      quarantine: true,
    })
    await runJobs()
  }
  beforeEach(() =>
    must(`PUT ${organization.path}/installation-policy`, { onAdvisory: 'quarantine' }),
  )

  test('moderators close what an advisory had closed; what they open, the advisory still keeps', async () => {
    const { id, versionId } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    const advisory = await warned(id)
    await blocked(versionId)
    expect(await by(made.id)).toBe('moderator')
    const released = await server.call(`POST ${at(made.id, '/release')}`, { reason: 'no' })
    expect([released.status, released.body.code]).toEqual([403, 'quarantined-by-moderators'])
    await must(`POST ${version(versionId)}/unblock`, {})
    await runJobs()
    expect([await by(made.id), await check(made.scenario)]).toEqual([advisory, false])
  })

  test('one of two advisories that is withdrawn leaves the other', async () => {
    const { id } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    const [one, two] = [await warned(id), await warned(id, '<2.0.0')]
    expect(await by(made.id)).toBe(one)
    await withdrawn(id, one)
    expect([await by(made.id), await check(made.scenario)]).toEqual([two, false])
    await withdrawn(id, two)
    expect([await by(made.id), await check(made.scenario)]).toEqual([null, true])
  })

  test('an update away from a blocked version opens it, and nothing leads back', async () => {
    const { id, versionId } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    await blocked(versionId)
    await release(id, [1, 0, 1], { definition: greeter(undefined, [{ id: 'b' }]) })
    expect((await must(`POST ${at(made.id, '/update')}`, {})).quarantine).toBeNull()
    expect(await check(made.scenario)).toBe(true)
    const back = await server.call(`POST ${at(made.id, '/rollback')}`, {})
    expect([back.status, back.body.code]).toEqual([409, 'version-blocked'])
  })

  test('what an advisory warns of is neither installed nor gone back to', async () => {
    const { id } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    await release(id, [1, 0, 1], { definition: greeter(undefined, [{ id: 'b' }]) })
    await must(`POST ${at(made.id, '/update')}`, {})
    const advisory = await warned(id)
    expect(await by(made.id)).toBeNull()
    const refused = [
      await install({ template: id, version: '1.0.0', inputs: { greeting: 'x' } }),
      await server.call(`POST ${at(made.id, '/update')}`, { to: '1.0.0' }),
      await server.call(`POST ${at(made.id, '/rollback')}`, {}),
    ]
    for (const { status, body } of refused)
      expect([status, body.code, body.rule, body.advisory]).toEqual([
        ...[403, 'installation-policy', 'onAdvisory', advisory],
      ])
    await must(`PUT ${organization.path}/installation-policy`, { onAdvisory: 'warn' })
    expect((await must(`POST ${at(made.id, '/rollback')}`, {})).version).toBe('1.0.0')
  })

  test('its own publisher does not open what moderators closed, by installing it again', async () => {
    const { id, versionId } = await list()
    await must(`POST ${publisher.path}/workspaces`, { name: 'Sales', slug: 'sales' })
    const wish = { workspace: 'sales', template: id, inputs: { greeting: 'x' } }
    const made = await must(`POST ${publisher.path}/installations`, wish)
    await blocked(versionId)
    const own = `${publisher.path}/installations/${made.id}`
    await server.call(`POST ${own}/update`, { to: '1.0.0' })
    expect((await must(`GET ${own}`)).quarantine.by).toBe('moderator')
  })
})

describe('taking out', () => {
  test('ends the scenario and the grants on it, or keeps it', async () => {
    const { id } = await list()
    const [one, two] = [
      await installed({ template: id, inputs: { greeting: 'x' } }),
      await installed({ template: id, inputs: { greeting: 'y' } }),
    ]
    const at = `${organization.path}/installations`
    expect((await server.call(`DELETE ${at}/${one.id}`)).status).toBe(204)
    expect((await server.call(`DELETE ${at}/${two.id}?keepScenario=true`)).status).toBe(204)
    const { items } = await must(`GET ${organization.path}/workspaces/sales/scenarios`)
    expect(items.map((each: { id: string }) => each.id)).toEqual([two.scenario])
    expect((await server.call(`DELETE ${at}/${one.id}`)).body.code).toBe('installation-removed')
    expect((await must(`GET ${at}?status=removed`)).items).toHaveLength(2)
  })

  test('is done once, of four who do it at once', async () => {
    const { id } = await list()
    const one = await installed({ template: id, inputs: { greeting: 'x' } })
    const at = `${organization.path}/installations/${one.id}`
    const answers = await Promise.all(
      ['', '?keepScenario=true', '', '?keepScenario=true'].map((kept) =>
        server.call(`DELETE ${at}${kept}`),
      ),
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([204, 409, 409, 409])
    const [told] = await server.sql`
      select count(*)::int from audit_events where event = 'installation.deleted' and resource = ${`installation:${one.id}`}`
    expect(told!.count).toBe(1)
  })

  test('a publisher that ends takes its templates along, and leaves what was made of them', async () => {
    const { id } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    await must(`PUT ${publisher.path}/templates/${id}/prices`, {
      prices: [{ currency: 'EUR', amountMinor: 100 }],
    })
    const order = await must(`POST ${organization.path}/orders`, { template: id, currency: 'EUR' })
    await server.sql`update organizations set status = 'pending_deletion', delete_after = now() - interval '1 day'
      where id = ${publisher.id}`
    await endDeletedOrganizations(server.context, new AbortController().signal)
    expect((await server.call(`GET ${publisher.path}`)).status).toBe(404)
    expect((await scenarioOf(made.scenario)).definition.nodes[0].text).toBe('x')
    expect((await must(`GET ${organization.path}/installations`)).items).toEqual([])
    // Books are kept.
    expect((await must(`GET ${organization.path}/orders/${order.id}`)).amountMinor).toBe(100)
  })

  test('of another organization is not there', async () => {
    const { id } = await list()
    const made = await installed({ template: id, inputs: { greeting: 'x' } })
    const stranger = await server.newOrganization()
    for (const what of ['GET', 'DELETE'])
      expect((await server.call(`${what} ${stranger.path}/installations/${made.id}`)).status).toBe(
        404,
      )
  })
})

describe('a role pack', () => {
  const pack = (permissions: string[]) =>
    JSON.stringify({
      roles: [
        { name: 'greeter', permissions },
        { name: 'lead-greeter', permissions: [], inherits: ['greeter'] },
      ],
    })
  const put = async (permissions: string[]) => {
    const definition = pack(permissions)
    const capabilities = permissions.map((each) => `permission:${each}`)
    const made = await putListed(server, publisher.id, { definition, capabilities })
    await server.sql`update templates set kind = 'role_pack' where id = ${made.id}`
    return made
  }
  const at = () => `${organization.path}/installations`

  test('makes roles that the installer holds, keeps what was changed, and goes back', async () => {
    const { id } = await put(['scenario:read'])
    const shown = await server.call(`POST ${at()}`, { template: id })
    expect(shown.body.capabilities).toEqual(['permission:scenario:read'])
    const made = await must(`POST ${at()}`, { template: id, consent: shown.body.consent })
    const role = async (name: string) => must(`GET ${organization.path}/roles/${name}`)
    expect((await role('lead-greeter')).inherits).toEqual(['greeter'])
    await must(`PUT ${organization.path}/roles/greeter`, {
      permissions: ['scenario:read', 'scenario:share'],
    })
    await release(id, [1, 1, 0], {
      definition: pack(['scenario:read', 'scenario:update']),
      capabilities: ['permission:scenario:read', 'permission:scenario:update'],
      inputs: [],
    })
    const preview = await must(`GET ${at()}/${made.id}/update`)
    expect(preview.conflicts.map(({ path }: { path: string }) => path)).toEqual([
      '/roles/greeter/permissions',
    ])
    const resolutions = [{ path: '/roles/greeter/permissions', take: 'theirs' }]
    await must(`POST ${at()}/${made.id}/update`, { resolutions, consent: preview.consent })
    expect((await role('greeter')).permissions).toEqual(['scenario:read', 'scenario:update'])
    await must(`POST ${at()}/${made.id}/rollback`, {})
    expect((await role('greeter')).permissions).toEqual(['scenario:read', 'scenario:share'])
  })

  test('gives nobody what they do not hold', async () => {
    const { id } = await put(['scenario:read', 'org:delete'])
    const key = await organization.keyFor({ roles: ['manager'] })
    const { status, body } = await server.call(`POST ${at()}`, { template: id }, { key })
    expect([status, body.code]).toEqual([403, 'install-above-ceiling'])
    expect(body.missing).toContain('org:delete')
  })
})
