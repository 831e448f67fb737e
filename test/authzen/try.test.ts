import { afterAll, beforeAll, test } from 'vitest'
import { RegExpRouter } from 'hono/router/reg-exp-router'
import { TrieRouter } from 'hono/router/trie-router'
import { startTestServer, type TestServer } from '../support/server.ts'
let s: TestServer
beforeAll(async () => { s = await startTestServer() })
afterAll(() => s.drop())
test('x', async () => {
  const all = s.app.routes
  const mine = (p: string) => /:organization\/access\/v1/.test(p)
  const t = new TrieRouter<string>()
  for (const { method, path } of all) t.add(method, path, path)
  const t2 = new RegExpRouter<string>()
  for (const { method, path } of all.filter((r) => !mine(r.path))) t2.add(method, path, path)
  for (const p of ['/check', '/v1/organizations/acme/members'])
  for (let k = 0; k < 4; k++) for (const [n, r] of [['trie', t], ['regexp', t2]] as const) {
    const b = performance.now(); for (let i = 0; i < 200_000; i++) r.match('POST', p); process.stdout.write(`${n} ${p} ${((performance.now() - b) / 200).toFixed(3)} us\n`) }
  const o = await s.newOrganization()
  const key = await o.keyFor({ permissions: ['decision:check'] })
  const run = async (path: string, body: string, n: number) => {
    const b = performance.now()
    for (let i = 0; i < n; i++) { const r = await s.app.fetch(new Request(`http://localhost${path}`, { method: 'POST', body, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' } })); if (r.status !== 200) throw new Error(await r.text()) }
    return ((performance.now() - b) / n * 1000).toFixed(2)
  }
  const single = JSON.stringify({ subject: { type: 'user', id: 'alice' }, action: { name: 'read' }, resource: { type: 'scenario', id: '1' } })
  const check = JSON.stringify({ organization: o.slug, subject: 'user:alice', permission: 'scenario:read', resource: 'scenario:1' })
  const batch = JSON.stringify({ subject: { type: 'user', id: 'alice' }, action: { name: 'read' }, evaluations: Array.from({ length: 1000 }, (_, i) => ({ resource: { type: 'scenario', id: String(i) } })) })
  for (let k = 0; k < 3; k++) process.stdout.write(`check ${await run('/check', check, 5000)} eval ${await run('/access/v1/evaluation', single, 5000)} path ${await run(`/${o.slug}/access/v1/evaluation`, single, 5000)} batch1000 ${await run('/access/v1/evaluations', batch, 50)} us\n`)
})
