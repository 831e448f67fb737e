import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { openFront } from '../../examples/cluster/front.ts'
import { openEmptyDatabase } from '../support/serve.ts'
import { until } from '../support/until.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string) => readFileSync(`${ROOT}${path}`, 'utf8')

test('three nodes behind a front: what is taken away on one is denied on another; Ctrl-C ends everything', async () => {
  const database = await openEmptyDatabase()
  const child = spawn(process.execPath, ['examples/cluster/start.ts', '--port', '0'], {
    cwd: ROOT,
    env: { ...process.env, DATABASE_URL: database.url, CI: '' },
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      text += chunk
    })
  const printed = () => stripVTControlCharacters(text)
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const found = (name: string) => new RegExp(`^${name}\\s+(\\S+)$`, 'm').exec(printed())?.[1] ?? ''
  try {
    const rounds = /^ +\d+ {2}allowed after +[\d.]+ ms {3}denied after +[\d.]+ ms$/gm
    await until(
      () => (printed().match(rounds) ?? []).length >= 2 || child.exitCode !== null,
      40_000,
    )
    expect(printed().match(rounds)?.length).toBeGreaterThanOrEqual(2)
    for (const name of ['node 1', 'node 2', 'node 3', 'front'])
      expect((await fetch(`${found(name)}/readyz`)).status).toBe(200)

    const organizations = await fetch(`${found('front')}/v1/organizations`, {
      headers: { authorization: `Bearer ${found('key')}` },
    })
    expect(organizations.status).toBe(200)
  } finally {
    child.kill('SIGINT')
    expect(await ended).toBe(0)
    await database.drop()
  }
  for (const name of ['node 1', 'node 2', 'node 3', 'front'])
    await expect(fetch(`${found(name)}/healthz`)).rejects.toThrow()
}, 60_000)

test('the front asks another node where a connection is refused, and sends it the whole body', async () => {
  const node = createServer((incoming, outgoing) => incoming.pipe(outgoing))
  await new Promise<void>((resolve) => node.listen(0, '127.0.0.1', resolve))
  const { port } = node.address() as { port: number }
  const front = await openFront(['http://127.0.0.1:1', `http://127.0.0.1:${port}`], 0)
  const body = 'x'.repeat(1_000_000)
  for (let turn = 0; turn < 4; turn++) {
    const answer = await fetch(front.url, { method: 'POST', body })
    expect([answer.status, await answer.text()]).toEqual([200, body])
  }
  node.close()
  node.closeAllConnections()
  expect((await fetch(front.url)).status).toBe(502)
  await front.stop()
})

// There may be no Docker here: what the files must say is read out of them.

type Service = {
  image?: string
  build?: { context: string }
  environment?: Record<string, string>
  command?: string[]
  ports?: string[]
  depends_on?: Record<string, { condition: string }>
  healthcheck?: { test: string[] }
}

const { services } = parse(read('examples/cluster/compose.yaml'), { merge: true }) as {
  services: Record<string, Service>
}

test('compose.yaml has three equal nodes that wait for what they need, and no secret in it', () => {
  const { node1, node2, node3, front, postgres, cache, queue } = services
  expect(node2).toEqual(node1)
  expect(node3).toEqual(node1)
  expect(node1).toMatchObject({
    build: { context: '../..' },
    environment: {
      NODE_ENV: 'production',
      DATABASE_URL: expect.stringMatching(/^postgres:\/\/.*@postgres:5432\//),
      REDIS_URL: 'redis://cache:6379',
      REDIS_QUEUE_URL: 'redis://queue:6379',
    },
    depends_on: {
      postgres: { condition: 'service_healthy' },
      cache: { condition: 'service_healthy' },
      queue: { condition: 'service_healthy' },
    },
  })
  // How compose writes a variable that must be set.
  for (const name of ['LATCHKEY_ADMIN_KEY', 'AUDIT_MAC_KEY', 'DATA_KEY'])
    expect(node1!.environment![name]).toBe(`$\{${name}:?}`)
  expect(postgres).toMatchObject({ image: 'postgres:18', healthcheck: expect.anything() })
  expect(cache!.command!.join(' ')).toMatch(/--maxmemory \d+mb --maxmemory-policy allkeys-lru/)
  expect(queue!.command!.join(' ')).toMatch(/--maxmemory-policy noeviction --appendonly yes/)
  expect(front!.depends_on).toMatchObject({ node1: { condition: 'service_healthy' } })
  // Only this machine reaches the front, and nothing else is reached from outside at all.
  expect(front!.ports).toEqual(['127.0.0.1:8080:80'])
  for (const [name, { ports }] of Object.entries(services))
    if (name !== 'front') expect(ports).toBeUndefined()
})

test('nginx.conf names all nodes, writes the client’s address anew and tries another node', () => {
  const configuration = read('examples/cluster/nginx.conf')
  for (const node of ['node1', 'node2', 'node3'])
    expect(configuration).toContain(`server ${node}:8080`)
  expect(configuration).toContain('proxy_set_header X-Forwarded-For $remote_addr;')
  expect(configuration).toContain('proxy_next_upstream error timeout;')
  expect(configuration).not.toContain('non_idempotent')
})

test('the Dockerfile ends without root, with a health check, and copies only what is shipped', () => {
  const last = read('Dockerfile')
    .split(/^FROM /m)
    .at(-1)!
  expect(last).toMatch(/^node:24-slim$/m)
  expect(last).toMatch(/^USER node$/m)
  expect(last).toMatch(/HEALTHCHECK[\s\S]*\/readyz/)
  const shipped = JSON.parse(read('package.json')).files as string[]
  for (const each of shipped) expect(last).toMatch(new RegExp(`^COPY .*\\b${each}\\b`, 'm'))
  expect(read('Dockerfile')).toContain('npm ci --omit=dev')
  expect(read('Dockerfile')).not.toMatch(/^(?:ENV|ARG) .*(?:KEY|PASSWORD|SECRET)/m)
  // Nothing is sent to the builder that is not named.
  expect(read('.dockerignore').split('\n')[0]).toBe('*')
})
