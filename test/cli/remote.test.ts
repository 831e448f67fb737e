import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { runLine } from './console.ts'

let server: Listening
let organization: Awaited<ReturnType<Listening['newOrganization']>>
let folder: string

beforeAll(async () => {
  server = await startListening()
  folder = await mkdtemp(join(tmpdir(), 'latchkey-cli-'))
})
afterAll(async () => {
  await server.drop()
  await rm(folder, { recursive: true, force: true })
})
beforeEach(async () => {
  organization = await server.newOrganization()
})

const line = (...args: string[]) =>
  runLine(args, { LATCHKEY_URL: server.url, LATCHKEY_KEY: server.adminKey })
const file = async (name: string, text: string) => {
  const path = join(folder, `${Math.random().toString(36).slice(2)}-${name}`)
  await writeFile(path, text)
  return path
}
const asking = (permission: string, ...more: string[]) => [
  ...['-o', organization.slug, '-s', 'user:alice', '-p', permission],
  ...more,
]

describe('latchkey check', () => {
  test('ends with 0 for an allow and with 2 for a deny', async () => {
    const allowed = await line('check', ...asking('scenario:read'))
    expect(allowed).toEqual({
      code: 0,
      out: `allow  granted by role owner in organization ${organization.slug} (role)\n`,
      err: '',
    })
    const denied = await line('check', ...asking('system:admin'))
    expect([denied.code, denied.out]).toEqual([
      2,
      'deny  no role or grant gives this here (no-match)\n',
    ])
  })

  test('prints the answer as it came, asked for JSON', async () => {
    const { code, out } = await line('check', ...asking('scenario:read', '--json'))
    expect([code, JSON.parse(out)]).toMatchObject([0, { allowed: true, code: 'role' }])
  })

  test('passes workspace, resource and context on', async () => {
    await server.call(`POST ${organization.path}/workspaces`, { name: 'Lab', slug: 'lab' })
    await server.call(`POST ${organization.path}/grants`, {
      subject: 'service:ci',
      permission: 'model:deploy',
      workspace: 'lab',
      resource: 'model:1',
      condition: 'context.mfa == true',
    })
    const deploy = (...more: string[]) =>
      line('check', '-o', organization.slug, '-s', 'service:ci', '-p', 'model:deploy', ...more)
    const place = ['-w', 'lab', '-r', 'model:1']
    expect((await deploy(...place, '-c', '{"mfa":true}')).code).toBe(0)
    expect((await deploy(...place, '-c', '{"mfa":false}')).code).toBe(2)
    expect((await deploy('-c', '{"mfa":true}')).code).toBe(2)
  })

  test.each([
    ['an unknown permission', ['scenario:raed'], 'Did you mean scenario:read?'],
    ['a context that is no JSON', ['scenario:read', '-c', '{'], '--context is not JSON'],
    ['another organization', ['scenario:read', '-o', 'nowhere'], 'no such organization'],
    ['a wrong key', ['scenario:read', '--key', 'wrong'], 'not valid'],
    ['an address that is none', ['scenario:read', '--url', 'nowhere'], 'not the address'],
  ])('says in one line what is wrong with %s', async (_, [permission, ...more], text) => {
    const { code, out, err } = await line('check', ...asking(permission!, ...more))
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(/^latchkey: /)
    expect(err).toContain(text)
    expect(err).not.toContain('    at ')
  })

  test('says that no server answers', async () => {
    const away = ['--url', 'http://127.0.0.1:9']
    const { code, err } = await line('check', ...asking('scenario:read', ...away))
    expect([code, err]).toEqual([
      1,
      'latchkey: no server answers at http://127.0.0.1:9; is it running? (--url, LATCHKEY_URL)\n',
    ])
  })

  test('names the option that is missing', async () => {
    const { code, err } = await line('check', '-o', 'acme')
    expect([code, err]).toEqual([1, expect.stringContaining('--subject')])
    const noKey = await runLine(['check', ...asking('scenario:read')], {})
    expect([noKey.code, noKey.err]).toEqual([1, expect.stringContaining('--key')])
  })
})

describe('latchkey explain', () => {
  test('tells the line that decided, and the way to it', async () => {
    await server.call(`PUT ${organization.path}/members/bob`, { roles: ['viewer'] })
    const bob = ['-o', organization.slug, '-s', 'user:bob']
    const allowed = await line('explain', ...bob, '-p', 'scenario:read')
    expect(allowed.code).toBe(0)
    expect(allowed.out).toContain('the line that decided\n  p, role:organization.viewer')
    expect(allowed.out).toContain('how the subject comes to it\n  g, user:bob')
    const denied = await line('explain', ...bob, '-p', 'scenario:delete')
    expect(denied.code).toBe(2)
    expect(denied.out).toContain('what would turn it\n')
  })

  test('tells which condition did not hold', async () => {
    await server.call(`POST ${organization.path}/grants`, {
      subject: 'service:ci',
      permission: 'scenario:delete',
      condition: 'context.mfa == true',
    })
    const ci = ['-o', organization.slug, '-s', 'service:ci', '-p', 'scenario:delete']
    const { out } = await line('explain', ...ci, '-c', '{"mfa":false}')
    expect(out).toContain('context.mfa == true  does not hold')
    expect((await line('explain', ...ci)).out).toContain('context.mfa == true  fails')
  })
})

const DOCUMENT = {
  members: [{ user: 'bob', roles: ['viewer'] }],
  teams: [{ slug: 'eng', members: ['bob'] }],
  grants: [{ subject: 'team:eng', permission: 'scenario:delete' }],
}
const CSV = `p, role:writer, *, memo:*, write, "true", allow
g, user:zoe, role:writer, *
g, user:max, team:press, *
p, team:press, *, memo:7, read, "context.mfa == true", deny
`

describe('latchkey import', () => {
  const into = (...args: string[]) => line('import', ...args, '-o', organization.slug)
  const may = async (subject: string, permission: string) =>
    (await line('check', '-o', organization.slug, '-s', subject, '-p', permission)).code === 0

  test('takes a document', async () => {
    const path = await file('document.json', JSON.stringify(DOCUMENT))
    const { code, out } = await into(path)
    expect(code).toBe(0)
    expect(out).toMatch(/members/)
    expect(await may('user:bob', 'scenario:delete')).toBe(true)
    expect((await into(path)).code).toBe(0)
  })

  test('takes one object a line', async () => {
    const path = await file(
      'document.ndjson',
      '{"kind":"member","user":"bob","roles":["viewer"]}\n{"kind":"team","slug":"eng","members":["bob"]}\n',
    )
    const { code, out } = await into(path)
    expect([code, out]).toEqual([0, expect.stringContaining('members')])
    expect(await may('user:bob', 'scenario:read')).toBe(true)
  })

  test('tells what a dry run would do, and does nothing', async () => {
    const path = await file('document.json', JSON.stringify(DOCUMENT))
    const { code, out } = await into(path, '--dry-run')
    expect([code, out.startsWith('nothing was changed; it would be:')]).toEqual([0, true])
    expect(await may('user:bob', 'scenario:delete')).toBe(false)
  })

  test('takes a Casbin policy, and registers its permissions when asked to', async () => {
    const path = await file('policy.csv', CSV)
    const unknown = await into(path)
    expect([unknown.code, unknown.err]).toEqual([
      1,
      expect.stringContaining('/roles/0/permissions'),
    ])
    const registered = await into(path, '--register')
    expect([registered.code, registered.out]).toEqual([0, expect.stringContaining('roles')])
    expect(await may('user:zoe', 'memo:write')).toBe(true)
    expect(await may('user:max', 'memo:write')).toBe(false)
    expect((await into(path, '--register')).code).toBe(0)
  })

  test.each([
    ['broken JSON', 'a.json', '{"members":', 'not JSON'],
    ['a wrong object', 'a.json', '{"members":[{"user":"bob","color":"red"}]}', '/members/0/color'],
    ['a broken policy', 'a.csv', 'p, role:x\n', 'line 1'],
    ['a policy that means nothing here', 'a.csv', 'g, user:a, group:b, *\n', 'line 1'],
  ])('imports nothing of %s, and names the place', async (_, name, text, place) => {
    const { code, out, err } = await into(await file(name, text))
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain(place)
    expect(err).not.toContain('    at ')
  })

  test('says which file cannot be read, and that one is needed', async () => {
    expect((await into('/nowhere/x.json')).err).toBe('latchkey: /nowhere/x.json cannot be read\n')
    expect((await into()).err).toContain('name a file')
  })

  test('says that no server answers', async () => {
    const path = await file('document.json', JSON.stringify(DOCUMENT))
    const { code, err } = await into(path, '--url', 'http://127.0.0.1:9')
    expect([code, err]).toEqual([1, expect.stringContaining('no server answers')])
  })
})

describe('latchkey export', () => {
  test('writes what import takes back unchanged', async () => {
    const source = await file('document.json', JSON.stringify(DOCUMENT))
    await line('import', source, '-o', organization.slug)
    const { code, out } = await line('export', '-o', organization.slug)
    expect(code).toBe(0)
    expect(JSON.parse(out).grants).toMatchObject(DOCUMENT.grants)
    const target = join(folder, 'export.json')
    const written = await line('export', '-o', organization.slug, '-f', target)
    expect([written.code, written.out]).toEqual([0, ''])
    expect(await readFile(target, 'utf8')).toBe(out)
    const before = await server.call(`GET ${organization.path}/export`)
    const again = await line('import', target, '-o', organization.slug)
    expect(again.code).toBe(0)
    expect((await server.call(`GET ${organization.path}/export`)).body).toEqual(before.body)
  })

  test('of what is not there says so', async () => {
    const { code, err } = await line('export', '-o', 'nowhere')
    expect([code, err]).toEqual([1, 'latchkey: There is no such organization.\n'])
  })
})

describe('latchkey', () => {
  test('names a command it does not know, and tells its own when asked', async () => {
    const unknown = await line('chekc')
    expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('Did you mean check?')])
    const help = await line('--help')
    expect(help.code).toBe(0)
    for (const command of [
      'serve',
      'migrate',
      'check',
      'explain',
      'import',
      'export',
      'keys',
      'policy',
    ])
      expect(help.out).toContain(command)
  })
})
