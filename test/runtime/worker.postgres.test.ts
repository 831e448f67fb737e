import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

let node: TestServer
let worker: ChildProcess
let url: string
let folder: string
let output = ''

const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })

/** The same server in workerd, over the same database. */
beforeAll(async () => {
  node = await startTestServer()
  const port = await freePort()
  folder = await mkdtemp(join(tmpdir(), 'latchkey-worker-'))
  url = `http://127.0.0.1:${port}`
  const { url: databaseUrl } = node.database.target as { url: string }
  const args = ['node_modules/wrangler/bin/wrangler.js', 'dev', '--local', '--ip', '127.0.0.1']
  args.push('--port', String(port), '--inspector-port', String(await freePort()))
  args.push('--persist-to', folder, '--show-interactive-dev-session=false')
  args.push('--var', `ENCRYPTION_KEY:${'08'.repeat(32)}`)
  args.push('--var', `DATABASE_URL:${databaseUrl}`, '--var', `AUDIT_MAC_KEY:${'07'.repeat(32)}`)
  worker = spawn(process.execPath, args, {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true', NO_COLOR: '1' },
  })
  for (const stream of [worker.stdout, worker.stderr])
    stream?.on('data', (chunk) => {
      output += chunk
    })
  for (let waited = 0; waited < 300; waited++) {
    const status = await fetch(`${url}/healthz`).then(
      (answer) => answer.status,
      () => 0,
    )
    if (status === 200) return
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error(`workerd did not start:\n${output}`)
}, 90_000)

afterAll(async () => {
  // wrangler starts workerd and esbuild; they are one group.
  if (worker?.pid) process.kill(-worker.pid, 'SIGKILL')
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
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
