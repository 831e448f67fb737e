import { randomBytes } from 'node:crypto'
import { sha256, toBase64Url } from '../../src/platform/crypto/hash.ts'
import type { startWithDns } from '../domains/fixtures.ts'

export type World = Awaited<ReturnType<typeof startWithDns>>
export type Managed = Awaited<ReturnType<typeof newManaged>>

/** Everything the endpoints of an organization ask for: who holds this runs it day by day, and owns nothing of it. */
export const MANAGING = [
  ...['org:read', 'org:update', 'org:settings:update', 'org:security:update'],
  ...['org:member:invite', 'org:member:role:update', 'org:member:remove'],
  ...['invitation:read', 'invitation:manage', 'team:read', 'team:manage'],
  ...['role:create', 'role:read', 'role:update', 'role:delete', 'role:assign'],
  ...['resource:read', 'resource:manage', 'apikey:read', 'apikey:manage'],
  ...['workspace:create', 'workspace:read', 'workspace:update', 'workspace:member:manage'],
  ...['webhook:read', 'webhook:manage', 'job:read', 'job:update'],
]
/** What stands for all that carol, who manages, does not hold. */
export const STRONG = ['scenario:delete', 'org:delete', 'org:transfer', 'audit:read']

export const SOONER = '2080-01-01T00:00:00.000Z'
export const LATER = '2090-01-01T00:00:00.000Z'

/** The operator prepares: it must succeed. */
export const maker =
  ({ server }: Pick<World, 'server'>, path: string) =>
  async (what: string, body?: unknown) => {
    const [method, at] = what.split(' ')
    const answer = await server.call(`${method} ${path}${at}`, body)
    if (answer.status >= 300) throw new Error(`${what}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }

/** A token for an invitation, as its mail would bring it: only its hash is stored. */
export const tokenFor = async ({ server }: World, invitation: string) => {
  const token = toBase64Url(randomBytes(32))
  await server.sql`update invitations set token_hash = ${await sha256(token)} where id = ${invitation}`
  return token
}

/**
 * An organization that carol manages, with things above her in every corner: roles, people who are kept from what they
 * hold, teams, grants, keys, invitations, a domain. `things` are their ids.
 */
export const newManaged = async (world: World) => {
  const organization = await world.newProven()
  const make = maker(world, organization.path)
  const idOf = async (what: string, body: object) => (await make(what, body)).id as string
  const asOwner = async (what: string, body: object) => {
    const key = await world.person('alice')
    const { body: made } = await world.server.call(`POST ${organization.path}${what}`, body, {
      key,
    })
    return made.id as string
  }
  await make('PUT /roles/managing', { permissions: [...MANAGING, 'scenario:read'] })
  await make('PUT /roles/strong', { permissions: STRONG })
  await make('PUT /roles/weak', { permissions: ['scenario:read'] })
  const condition = 'resource.owner == subject.id'
  await make('PUT /roles/own', { permissions: [{ permission: 'scenario:delete', condition }] })
  await make('PUT /roles/lab-strong', { scope: 'workspace', permissions: ['scenario:delete'] })
  await make('POST /workspaces', { name: 'Lab', slug: 'lab' })
  for (const [name, member] of Object.entries({
    carol: { roles: ['managing', 'own'] },
    bob: { roles: ['weak'] },
    olga: { roles: ['owner'] },
    sue: { roles: ['strong'], status: 'suspended' },
    tim: { roles: ['strong'], expiresAt: SOONER },
    tom: { roles: [] },
  }))
    await make(`PUT /members/${name}`, member)
  for (const team of ['strong', 'eng', 'kept']) await make(`PUT /teams/${team}`, {})
  await make('PUT /teams/eng/members/carol')
  await make('PUT /teams/kept/members/carol')
  await make('POST /grants', { subject: 'team:strong', role: 'strong' })
  await make('PUT /resources/scenario/9', {})
  const kept = { permission: 'scenario:read', effect: 'deny' }
  await make('POST /grants', { subject: 'team:kept', ...kept, resource: 'scenario:8' })
  const tom = { subject: 'user:tom', permission: 'scenario:delete' }
  const denial = { subject: 'user:carol', ...kept, resource: 'scenario:9' }
  const things = {
    domain: organization.domain,
    denial: await idOf('POST /grants', denial),
    denialOfBob: await idOf('POST /grants', { ...tom, subject: 'user:bob', effect: 'deny' }),
    conditional: await idOf('POST /grants', { ...tom, condition: 'context.mfa == true' }),
    temporary: await idOf('POST /grants', { ...tom, resource: 'scenario:7', expiresAt: SOONER }),
    strongKey: await idOf('POST /api-keys', { name: 'strong', roles: ['strong'] }),
    weakKey: await idOf('POST /api-keys', { name: 'weak', permissions: ['scenario:read'] }),
    hook: await idOf('POST /webhooks', { url: 'https://hooks.example.com/a' }),
    invited: await asOwner('/invitations', { email: 'yan@example.com', roles: ['strong'] }),
    heir: await asOwner('/invitations', { email: 'ida@example.com', roles: ['owner'] }),
  }
  await make(`PATCH /domains/${organization.domain}`, { role: 'strong' })
  return { ...organization, make, things }
}

/** What /check answers at this moment to every question that could tell that somebody gained something. */
export const standing = async ({ server }: World, { id, things }: Managed) => {
  const people = ['carol', 'bob', 'sue', 'tim', 'tom', 'zoe', 'yan', 'ida'].map(
    (name) => `user:${name}`,
  )
  const subjects = [...people, `key:${things.weakKey}`, 'service:ci']
  const places = [{}, { workspace: 'lab' }, { resource: 'scenario:7' }]
  const questions = [
    ...STRONG.flatMap((permission) =>
      places
        .filter((place) => !('resource' in place) || permission.startsWith('scenario:'))
        .map((place) => ({ permission, ...place })),
    ),
    { permission: 'scenario:read', resource: 'scenario:8' },
    { permission: 'scenario:read', resource: 'scenario:9' },
    { permission: 'model:delete', workspace: 'lab' },
    { permission: 'system:admin' },
    { permission: 'org:plan:update' },
  ]
  const checks = subjects.flatMap((subject) => questions.map((each) => ({ subject, ...each })))
  const defaults = { organization: id }
  const asked = { defaults, checks, consistency: 'full' }
  const { body } = await server.call('POST /check/batch', asked)
  const allowed = checks.filter((_, index) => {
    const result = body.results[index]
    if (result.error) throw new Error(JSON.stringify([checks[index], result]))
    return result.allowed
  })
  return new Set(allowed.map((check) => JSON.stringify(check)))
}

/** What is stored of who may do what: nothing that is refused may move it. */
export const revisionOf = async (
  { server }: Pick<World, 'server'>,
  { id }: { id: string },
): Promise<number> => {
  const [row] = await server.sql`select revision from organizations where id = ${id}`
  return row!.revision
}
