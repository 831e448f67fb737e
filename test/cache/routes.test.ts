import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

const NAMES = 'policy decision membership role settings api-key marketplace idp report'.split(' ')

/** Asks for a value as a module would, and counts how often it had to be made. */
const reader = (namespace: 'idp' | 'role', organizationId: string, revision = 0) => {
  let loads = 0
  const read = async (key: string, tags: string[] = []) => {
    const question = { sql: server.sql, organizationId, revision, key, tags }
    const { value } = await server.cache.caches.namespace(namespace).get(question, async () => {
      loads++
      return { value: { key, loads }, revision }
    })
    return value.loads
  }
  return { read, loads: () => loads }
}

describe('what is seen', () => {
  test('nine namespaces with their figures', async () => {
    const { body } = await server.call('GET /v1/cache/namespaces')
    expect(body.items.map(({ namespace }: { namespace: string }) => namespace)).toEqual(NAMES)
    const { id } = await server.newOrganization()
    const { read } = reader('idp', id)
    for (let time = 0; time < 4; time++) await read('figures')
    const one = await server.call('GET /v1/cache/stats?namespace=idp')
    expect(one.body.items).toHaveLength(1)
    expect(one.body.items[0]).toMatchObject({ namespace: 'idp', boundTo: 'generation' })
    expect(one.body.items[0].memory.hits).toBeGreaterThanOrEqual(3)
    expect(one.body.items[0].hitRatio).toBeGreaterThan(0)
    const series = await server.call('GET /v1/cache/series?namespace=idp&minutes=5')
    expect(series.body.items).toHaveLength(5)
    const sum = series.body.items.reduce(
      (total: number, { memoryHits }: { memoryHits: number }) => total + memoryHits,
      0,
    )
    expect(sum).toBeGreaterThanOrEqual(3)
  })

  test('the same in the metrics, by namespace only', async () => {
    const { id } = await server.newOrganization()
    const { read } = reader('idp', id)
    for (let time = 0; time < 3; time++) await read('measured')
    const { body } = await server.call('GET /metrics')
    expect(body).toMatch(/latchkey_cache_reads_total\{namespace="idp",answered="memory"\} [1-9]/)
    expect(body).toMatch(/latchkey_cache_degraded 0/)
    expect(body).not.toContain(id)
  })

  test('health without a store behind', async () => {
    const { body } = await server.call('GET /v1/cache/health')
    expect(body).toMatchObject({ store: 'none', isDegraded: false, breaker: { state: 'none' } })
    expect((await server.call('GET /v1/cache/breaker')).body.state).toBe('none')
  })

  test('one entry, without its value for those who may only look', async () => {
    const { id, slug } = await server.newOrganization()
    await reader('idp', id).read('entry')
    const at = `/v1/cache/namespaces/idp/entry?organization=${slug}&key=entry`
    const entry = await server.call(`GET ${at}`)
    expect(entry.body).toMatchObject({ tier: 'memory', hits: 0 })
    expect(entry.body).not.toHaveProperty('value')
    const value = await server.call(
      `GET /v1/cache/namespaces/idp/entry/value?organization=${slug}&key=entry`,
    )
    expect(value.body).toEqual({ value: { key: 'entry', loads: 1 } })
    const none = await server.call(
      `GET /v1/cache/namespaces/idp/entry?organization=${slug}&key=other`,
    )
    expect([none.status, none.body.code]).toEqual([404, 'cache-entry-not-found'])
    const nowhere = await server.call(
      'GET /v1/cache/namespaces/idp/entry?organization=nobody-s&key=entry',
    )
    expect([nowhere.status, nowhere.body.code]).toEqual([404, 'organization-not-found'])
  })

  test('hot keys, without the text of the keys', async () => {
    const { id } = await server.newOrganization()
    const { read } = reader('idp', id)
    for (let time = 0; time < 400; time++) await read('very-hot')
    const { body } = await server.call('GET /v1/cache/hot-keys')
    expect(body.items[0]).toMatchObject({ organizationId: id, namespace: 'idp' })
    expect(JSON.stringify(body)).not.toContain('very-hot')
  })

  test('what another size would do', async () => {
    const { id } = await server.newOrganization()
    const { read } = reader('idp', id)
    for (let time = 0; time < 300; time++) await read(`key ${time % 30}`)
    const one = await server.call('POST /v1/cache/simulations', {
      namespace: 'idp',
      policy: 'lru',
      bytesMax: 1_000_000,
    })
    expect(one.body.items).toHaveLength(1)
    expect(one.body.items[0].hitRatio).toBeGreaterThan(0.5)
    const all = await server.call('POST /v1/cache/simulations', {})
    expect(new Set(all.body.items.map(({ policy }: { policy: string }) => policy))).toEqual(
      new Set(['lru', 'fifo', 'lfu']),
    )
  })
})

describe('clearing', () => {
  test('a namespace, a tag, an organization: what was kept is not found any more', async () => {
    const { id } = await server.newOrganization()
    const { read } = reader('idp', id)
    for (const [what, tags] of [
      ['/v1/cache/namespaces/idp/clear', []],
      ['/v1/cache/tags/template:tpl_9/clear', ['template:tpl_9']],
      [`/v1/cache/organizations/${id}/clear`, []],
    ] as const) {
      const before = await read(what, [...tags])
      expect(await read(what, [...tags])).toBe(before)
      const cleared = await server.call(`POST ${what}`)
      expect([cleared.status, cleared.body.isTold]).toEqual([200, true])
      expect(await read(what, [...tags])).toBe(before + 1)
    }
  })

  test('a tag leaves other tags alone', async () => {
    const { id } = await server.newOrganization()
    const { read } = reader('idp', id)
    const kept = await read('kept', ['template:a'])
    await server.call('POST /v1/cache/tags/template:b/clear')
    expect(await read('kept', ['template:a'])).toBe(kept)
  })

  test('an organization raises its revision, so that its policy is read anew', async () => {
    const { id, slug } = await server.newOrganization()
    const revision = async () =>
      (await server.sql`select revision from organizations where id = ${id}`)[0]!.revision
    const before = await revision()
    await server.call(`POST /v1/cache/organizations/${slug}/clear`)
    expect(await revision()).toBe(before + 1)
    const question = { organization: slug, subject: 'user:alice', permission: 'scenario:delete' }
    expect((await server.call('POST /check', question)).body.allowed).toBe(true)
  })

  test('one entry', async () => {
    const { id } = await server.newOrganization()
    const { read } = reader('idp', id)
    const before = await read('single')
    const at = `/v1/cache/namespaces/idp/entry?organization=${id}&key=single`
    expect((await server.call(`DELETE ${at}`)).status).toBe(204)
    expect(await read('single')).toBe(before + 1)
    await server.call(`DELETE ${at}`)
    expect((await server.call(`DELETE ${at}`)).status).toBe(404)
  })

  test('is no way to patterns', async () => {
    for (const tag of ['*', 'a%2A', 'template%20x', ''])
      expect((await server.call(`POST /v1/cache/tags/${tag}/clear`)).status).toBeGreaterThan(399)
  })
})

describe('tuning', () => {
  test('counts at once, and is refused where it means nothing', async () => {
    const at = '/v1/cache/namespaces/report'
    const { body } = await server.call(`PATCH ${at}`, { ttlMs: 5000, policy: 'lfu' })
    expect(body).toMatchObject({ ttlMs: 5000, policy: 'lfu' })
    expect((await server.call(`GET ${at}`)).body).toMatchObject({ ttlMs: 5000, policy: 'lfu' })
    for (const [patch, pointer] of [
      [{ ttlMs: 0 }, '/ttlMs'],
      [{ bytesMax: 1 }, '/bytesMax'],
      [{ policy: 'mru' }, '/policy'],
      [{ size: 1 }, '/size'],
    ] as const) {
      const refused = await server.call(`PATCH ${at}`, patch)
      expect([refused.status, refused.body.errors[0].pointer]).toEqual([400, pointer])
    }
    expect((await server.call('GET /v1/cache/namespaces/nothing')).status).toBe(400)
  })

  test('warming loads the policy', async () => {
    const { id, slug } = await server.newOrganization()
    const { body } = await server.call('POST /v1/cache/warm', { organization: slug })
    expect(body).toMatchObject({ organization: id })
    expect(server.policies.peek(slug)?.id).toBe(id)
  })
})

test('an organization’s own people have no say in it', async () => {
  const { keyFor } = await server.newOrganization()
  const key = await keyFor({ roles: ['admin'] })
  for (const what of ['GET /v1/cache/stats', 'POST /v1/cache/namespaces/role/clear']) {
    const refused = await server.call(what, undefined, { key })
    expect([refused.status, refused.body.code]).toEqual([403, 'forbidden'])
  }
})
