import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { maker } from './fixtures.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

describe('the first row that matches wins', () => {
  /** The same numbers every time. */
  const random = (seed: number) => () => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed / 2147483648
  }
  const shuffled = <Each>(items: readonly Each[], next: () => number) =>
    items
      .map((item) => ({ item, at: next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item)

  test('rows in any order give the same answers', async () => {
    const people = ['user:bob', 'user:dan', 'user:kim']
    const next = random(7)
    const oneOf = <Each>(items: readonly Each[]) => items[Math.floor(next() * items.length)]!
    const rows = new Map<string, object>()
    while (rows.size < 40) {
      const row = {
        subject: oneOf([...people, 'team:all', 'team:eng']),
        ...(next() < 0.5
          ? { role: oneOf(['viewer', 'member', 'lead']) }
          : { permission: oneOf(['scenario:read', 'scenario:update', 'scenario:delete']) }),
        ...(next() < 0.3 ? { workspace: 'lab' } : next() < 0.4 ? { resource: 'scenario:1' } : {}),
        effect: next() < 0.3 ? 'deny' : 'allow',
        ...(next() < 0.2 ? { condition: 'context.mfa == true' } : {}),
      }
      rows.set(JSON.stringify(row), row)
    }
    const checks = people.flatMap((subject) =>
      ['scenario:read', 'scenario:update', 'scenario:delete', 'scenario:execute'].flatMap(
        (permission) =>
          [{}, { workspace: 'lab' }, { resource: 'scenario:1' }, { context: { mfa: true } }].map(
            (place) => ({
              subject,
              permission,
              ...place,
            }),
          ),
      ),
    )
    const answers = []
    for (let order = 0; order < 4; order++) {
      const { path, slug } = await server.newOrganization()
      const prepare = maker({ server }, path)
      await prepare('PUT /roles/base', { permissions: ['scenario:execute'] })
      await prepare('PUT /roles/lead', { permissions: ['scenario:delete'], inherits: ['base'] })
      await prepare('POST /workspaces', { name: 'Lab', slug: 'lab' })
      for (const name of shuffled(['bob', 'dan', 'kim'], next))
        await prepare(`PUT /members/${name}`, { roles: [] })
      await prepare('PUT /teams/all', {})
      await prepare('PUT /teams/eng', { parent: 'all' })
      await prepare('PUT /teams/eng/members/dan')
      for (const row of shuffled([...rows.values()], next)) await prepare('POST /grants', row)
      const { body } = await server.call('POST /check/batch', {
        defaults: { organization: slug },
        checks,
      })
      answers.push(body.results.map(({ allowed }: { allowed: boolean }) => allowed))
    }
    for (const answer of answers) expect(answer).toEqual(answers[0])
    expect(new Set(answers[0])).toEqual(new Set([true, false]))
  })

  test('a row is about whom it names: a deny of one touches no other, not even through what they share', async () => {
    const { path, slug } = await server.newOrganization()
    const make = maker({ server }, path)
    await make('PUT /roles/base', { permissions: ['scenario:delete'] })
    await make('PUT /roles/lead', { permissions: [], inherits: ['base'] })
    for (const name of ['bob', 'dan', 'kim'])
      await make(`PUT /members/${name}`, { roles: ['lead'] })
    await make('PUT /teams/eng', {})
    await make('PUT /teams/eng/members/kim')
    await make('POST /grants', { subject: 'user:bob', role: 'base', effect: 'deny' })
    await make('POST /grants', { subject: 'team:eng', role: 'lead', effect: 'deny' })
    const allowed = []
    for (const name of ['bob', 'dan', 'kim', 'alice']) {
      const question = {
        organization: slug,
        subject: `user:${name}`,
        permission: 'scenario:delete',
      }
      allowed.push((await server.call('POST /check', question)).body.allowed)
    }
    expect(allowed).toEqual([false, true, false, true])
  })
})
