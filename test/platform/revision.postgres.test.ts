import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Transaction } from '../../src/platform/db/connect.ts'
import { newId } from '../../src/platform/id.ts'
import { furnish } from '../support/furnished.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
let o: Awaited<ReturnType<typeof furnish>>

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())
beforeEach(async () => {
  o = await furnish(server)
})

/** Where the organization and the platform stand, and how many changes are told of each. */
const stand = async () => {
  const [row] = await server.sql<
    Record<'organization' | 'platform' | 'told' | 'toldPlatform', number>[]
  >`
    select (select revision from organizations where id = ${o.id}) as organization,
      (select revision from platform) as platform,
      (select count(*)::int from policy_changes where organization_id = ${o.id}) as told,
      (select count(*)::int from policy_changes where organization_id = 'platform') as told_platform`
  return row!
}
const raisedBy = async (work: (tx: Transaction) => Promise<unknown>) => {
  const before = await stand()
  await server.sql.begin(work as never)
  const after = await stand()
  return {
    organization: after.organization - before.organization,
    told: after.told - before.told,
    platform: after.platform - before.platform,
    toldPlatform: after.toldPlatform - before.toldPlatform,
  }
}
const ONCE = { organization: 1, told: 1, platform: 0, toldPlatform: 0 }
const PLATFORM = { organization: 0, told: 0, platform: 1, toldPlatform: 1 }
const NEVER = { organization: 0, told: 0, platform: 0, toldPlatform: 0 }

type Statement = (ids: typeof o) => string
const hash = `'\\x${'00'.repeat(32)}'`

const CHANGES: Record<string, Statement> = {
  'insert into members': ({ id }) =>
    `insert into members (organization_id, subject) values ('${id}', 'user:x')`,
  'update of members': ({ id }) =>
    `update members set status = 'suspended' where organization_id = '${id}' and subject = 'user:bob'`,
  'update of attributes': ({ id }) =>
    `update members set attributes = '{"a":1}' where organization_id = '${id}'`,
  'delete from members': ({ id }) =>
    `delete from members where organization_id = '${id}' and subject = 'user:bob'`,
  'insert into teams': ({ id }) =>
    `insert into teams (organization_id, slug, name) values ('${id}', 'x', 'x')`,
  'update of teams': ({ id }) =>
    `update teams set parent = null where organization_id = '${id}' and slug = 'eng'`,
  'delete from teams': ({ id }) =>
    `delete from teams where organization_id = '${id}' and slug = 'eng'`,
  'insert into team_members': ({ id }) =>
    `insert into team_members values ('${id}', 'all', 'user:bob')`,
  'update of team_members': ({ id }) =>
    `update team_members set team = 'all' where organization_id = '${id}'`,
  'delete from team_members': ({ id }) =>
    `delete from team_members where organization_id = '${id}'`,
  'insert into workspaces': ({ id }) =>
    `insert into workspaces (id, organization_id, slug, name) values ('${newId('wsp')}', '${id}', 'x', 'x')`,
  'update of workspaces': ({ workspaceId }) =>
    `update workspaces set slug = 'new' where id = '${workspaceId}'`,
  'delete from workspaces': ({ workspaceId }) =>
    `delete from workspaces where id = '${workspaceId}'`,
  'insert into resources': ({ id }) =>
    `insert into resources (organization_id, type, id) values ('${id}', 'scenario', 'x')`,
  'update of resources': ({ id }) =>
    `update resources set workspace_id = null where organization_id = '${id}'`,
  'suspension of resources': ({ id }) =>
    `update resources set suspended_because = 'x' where organization_id = '${id}'`,
  'delete from resources': ({ id }) =>
    `delete from resources where organization_id = '${id}' and id = '1'`,
  'insert into grants': ({
    id,
  }) => `insert into grants (id, organization_id, subject, permission, permission_scope, granted_by)
    values ('${newId('grt')}', '${id}', 'user:bob', 'scenario:share', 'workspace', 'x')`,
  'update of grants': ({ grantId }) =>
    `update grants set expires_at = now() where id = '${grantId}'`,
  'delete from grants': ({ grantId }) => `delete from grants where id = '${grantId}'`,
  'insert into roles': ({ id }) =>
    `insert into roles (organization_id, scope, name) values ('${id}', 'organization', 'x')`,
  'delete from roles': ({ id }) => `delete from roles where home = '${id}' and name = 'lead'`,
  'insert into role_permissions': ({ id }) =>
    `insert into role_permissions values ('${id}', 'organization', 'lead', 'scenario:share', 'workspace')`,
  'update of role_permissions': ({ id }) =>
    `update role_permissions set condition = '1 == 1' where role_home = '${id}'`,
  'delete from role_permissions': ({ id }) =>
    `delete from role_permissions where role_home = '${id}'`,
  'insert into role_inherits': ({ id }) =>
    `insert into role_inherits values ('${id}', 'organization', 'lead', 'platform', 'organization', 'viewer')`,
  'update of role_inherits': ({ id }) =>
    `update role_inherits set parent_home = 'platform', parent_name = 'viewer' where role_home = '${id}'`,
  'delete from role_inherits': ({ id }) => `delete from role_inherits where role_home = '${id}'`,
  'insert into api_keys': ({ id }) =>
    `insert into api_keys (id, organization_id, name, secret_hash, created_by) values ('${newId('key')}', '${id}', 'x', ${hash}, 'x')`,
  'update of api_keys': ({ keyId }) =>
    `update api_keys set revoked_at = now() where id = '${keyId}'`,
  'delete from api_keys': ({ keyId }) => `delete from api_keys where id = '${keyId}'`,
  'a new status': ({ id }) => `update organizations set status = 'suspended' where id = '${id}'`,
  'a new slug': ({ id }) =>
    `update organizations set slug = 'x' || substr(slug, 2, 40) || 'y' where id = '${id}'`,
}

const OF_THE_PLATFORM: Record<string, Statement> = {
  'insert into resource_types': () =>
    `insert into resource_types (type) values ('t${Math.random()}')`,
  'update of resource_types': () =>
    `update resource_types set strict = not strict where type = 'model'`,
  'insert into permissions': () =>
    `insert into permissions (key, scope) values ('model:x${Math.random()}', 'workspace')`,
  'a built-in role': () =>
    `insert into roles (scope, name) values ('workspace', 'r${Math.floor(Math.random() * 1e9)}')`,
  'what a built-in role holds': () => `update role_permissions set condition = '1 == 1'
    where role_home = 'platform' and role_scope = 'workspace' and role_name = 'guest' and permission = 'model:read' and condition is null`,
  'an operator’s key': () =>
    `insert into api_keys (id, name, secret_hash, created_by) values ('${newId('key')}', 'x', ${hash}, 'x')`,
  'an operator’s grant':
    () => `insert into grants (id, subject, role_home, role_scope, role_name, granted_by)
    values ('${newId('grt')}', 'user:op${Math.random()}', 'platform', 'platform', 'support', 'x')`,
}

/** What no decision reads. */
const IRRELEVANT: Record<string, Statement> = {
  'the name of a workspace': ({ workspaceId }) =>
    `update workspaces set name = 'x', version = 9 where id = '${workspaceId}'`,
  'the version of a member': ({ id }) =>
    `update members set version = 9 where organization_id = '${id}'`,
  'the name of a team': ({ id }) => `update teams set name = 'x' where organization_id = '${id}'`,
  'the reason of a grant': ({ grantId }) =>
    `update grants set reason = 'x', version = 9 where id = '${grantId}'`,
  'the description of a role': ({ id }) =>
    `update roles set description = 'x' where home = '${id}'`,
  'the last use of a key': ({ keyId }) =>
    `update api_keys set last_used_at = now(), name = 'x' where id = '${keyId}'`,
  'the time of a resource': ({ id }) =>
    `update resources set updated_at = now(), version = 9 where organization_id = '${id}'`,
  'the name of an organization': ({ id }) =>
    `update organizations set name = 'x', logo = null, version = 9 where id = '${id}'`,
  'the description of a permission': () =>
    `update permissions set description = 'x' || random() where key = 'model:read'`,
  'the description of a type': () =>
    `update resource_types set description = 'x' || random() where type = 'model'`,
  'an update that changes nothing': ({ id }) =>
    `update members set status = status, attributes = attributes where organization_id = '${id}'`,
  'a statement that meets no row': ({ id }) =>
    `delete from grants where organization_id = '${id}' and subject = 'user:none'`,
}

describe('the revision of an organization', () => {
  test.each(Object.entries(CHANGES))(
    'rises once by %s, and one line tells it',
    async (_, statement) => {
      expect(await raisedBy((tx) => tx.unsafe(statement(o)))).toEqual(ONCE)
    },
  )

  test.each(Object.entries(IRRELEVANT))('is left alone by %s', async (_, statement) => {
    expect(await raisedBy((tx) => tx.unsafe(statement(o)))).toEqual(NEVER)
  })

  test('rises once in a transaction, however much it changes', async () => {
    const raised = await raisedBy(async (tx) => {
      for (const name of [
        'insert into members',
        'update of grants',
        'delete from resources',
        'update of teams',
      ])
        await tx.unsafe(CHANGES[name]!(o))
    })
    expect(raised).toEqual(ONCE)
    const [change] = await server.sql`
      select touched from policy_changes where organization_id = ${o.id} order by revision desc limit 1`
    expect(change!.touched).toEqual([
      'members:user:x',
      'grants:user:bob',
      'resources:scenario:1',
      'teams:team:eng',
    ])
  })

  test('rises again in the next transaction', async () => {
    const statement = (name: string) =>
      `insert into teams (organization_id, slug, name) values ('${o.id}', '${name}', 'x')`
    expect(await raisedBy((tx) => tx.unsafe(statement('a')))).toEqual(ONCE)
    expect(await raisedBy((tx) => tx.unsafe(statement('b')))).toEqual(ONCE)
  })

  test('is left alone by what is rolled back, wholly or to a savepoint', async () => {
    const inSavepoint = async (tx: Transaction, fails: boolean) =>
      tx
        .savepoint(async (inner) => {
          await inner.unsafe(CHANGES['insert into members']!(o))
          if (fails) throw new Error('rolled back')
        })
        .catch((error: Error) => {
          if (error.message !== 'rolled back') throw error
        })
    expect(await raisedBy((tx) => inSavepoint(tx, true))).toEqual(NEVER)
    const both = await raisedBy(async (tx) => {
      await inSavepoint(tx, true)
      await inSavepoint(tx, false)
      await tx.unsafe(CHANGES['insert into teams']!(o))
    })
    expect(both).toEqual(ONCE)
  })

  test('rises with on conflict only where something was written', async () => {
    const insert = `insert into members (organization_id, subject) values ('${o.id}', 'user:bob') on conflict`
    expect(await raisedBy((tx) => tx.unsafe(`${insert} do nothing`))).toEqual(NEVER)
    const update = `${insert} (organization_id, subject) do update set`
    expect(await raisedBy((tx) => tx.unsafe(`${update} version = 5`))).toEqual(NEVER)
    expect(await raisedBy((tx) => tx.unsafe(`${update} status = 'suspended'`))).toEqual(ONCE)
  })

  test('rises once with merge, which does all three', async () => {
    const merge = `merge into members m using (values ('user:bob'), ('user:new')) as w (subject)
      on m.organization_id = '${o.id}' and m.subject = w.subject
      when matched then update set status = 'suspended'
      when not matched then insert (organization_id, subject) values ('${o.id}', w.subject)`
    expect(await raisedBy((tx) => tx.unsafe(merge))).toEqual(ONCE)
  })

  test('rises once with copy, and beyond 200 rows names none', async () => {
    const raised = await raisedBy(async (tx) => {
      const stream = await tx`copy members (organization_id, subject) from stdin`.writable()
      const written = new Promise((resolve, reject) => {
        stream.on('finish', resolve)
        stream.on('error', reject)
      })
      for (let index = 0; index < 300; index++) stream.write(`${o.id}\tuser:copy${index}\n`)
      stream.end()
      await written
    })
    expect(raised).toEqual(ONCE)
    const [change] = await server.sql`
      select touched from policy_changes where organization_id = ${o.id} order by revision desc limit 1`
    expect(change!.touched).toBe(null)
  })

  test('of each of two organizations rises, where a statement changes both', async () => {
    const other = await furnish(server)
    const before = (await server.sql`select revision from organizations where id = ${other.id}`)[0]
    const statement = `update members set status = 'suspended' where subject = 'user:bob' and organization_id in ('${o.id}', '${other.id}')`
    expect(await raisedBy((tx) => tx.unsafe(statement))).toEqual(ONCE)
    const after = (await server.sql`select revision from organizations where id = ${other.id}`)[0]
    expect(after!.revision).toBe(before!.revision + 1)
  })

  test('names who changed it, where somebody says so', async () => {
    await raisedBy(async (tx) => {
      await tx`select set_config('latchkey.actor', 'user:alice', true)`
      await tx.unsafe(CHANGES['insert into teams']!(o))
    })
    const [change] = await server.sql`
      select actor from policy_changes where organization_id = ${o.id} order by revision desc limit 1`
    expect(change!.actor).toBe('user:alice')
  })
})

describe('the revision of the platform', () => {
  test.each(Object.entries(OF_THE_PLATFORM))('rises once by %s', async (_, statement) => {
    expect(await raisedBy((tx) => tx.unsafe(statement(o)))).toEqual(PLATFORM)
  })
})

test('the end of an organization is told, though its row is gone', async () => {
  await server.sql`delete from organizations where id = ${o.id}`
  const [change] = await server.sql`
    select touched from policy_changes where organization_id = ${o.id} order by revision desc limit 1`
  expect(change!.touched).toEqual(['organizations:deleted'])
})
