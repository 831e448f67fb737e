import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Sql } from '../src/platform/db/connect.ts'
import { asAdministrator, within } from '../test/support/database.ts'
import { type Figure, median, percentile } from './figures.ts'
import { AUTHORIZATION, startLatchkey } from './latchkey.ts'
import { openMigrated } from './load.ts'
import { step } from './progress.ts'

export type EndpointsAmount = {
  organizations: number
  members: number
  /** Members of the one big organization, among all. */
  big: number
  clients: number
  /** Requests of each client a second, while it is measured how long they take. */
  perSecond: number
  seconds: number
  /** Requests of each endpoint that are asked without a pause, to see how many the server answers at most. */
  requests: number
}

const id = (prefix: string, n: string) => `'${prefix}_' || lpad((${n})::text, 26, '0')`

/** Organizations with members, a workspace and grants each, and one big organization; past triggers, as a restore would. */
const fill = (sql: Sql, { organizations, members, big }: EndpointsAmount) => {
  const each = Math.floor((members - big) / organizations)
  return sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    await tx.unsafe(`
      insert into organizations (id, slug, name, plan)
      select ${id('org', 'n')}, 'bench-' || n, 'Bench ' || n, 'custom' from generate_series(1, ${organizations}) n;
      insert into members (organization_id, subject, is_owner)
      select ${id('org', 'n')}, 'user:u' || m, m = 1
        from generate_series(1, ${organizations}) n, generate_series(1, case when n = 1 then ${big + each} else ${each} end) m;
      insert into workspaces (id, organization_id, slug, name)
      select ${id('wsp', 'n')}, ${id('org', 'n')}, 'lab', 'Lab' from generate_series(1, ${organizations}) n;
      insert into grants (id, organization_id, subject, role_home, role_scope, role_name, source, granted_by)
      select ${id('grt', 'row_number() over ()')}, organization_id, subject, 'platform', 'organization',
        (array['viewer', 'member', 'manager'])[1 + abs(hashtext(subject)) % 3], 'member', 'user:u1'
        from members where not is_owner;
      insert into usage (organization_id, meter, period_start, used)
      select organization_id, 'members', '0001-01-01', count(*) from members group by 1;`)
  })
}

type Shot = { method: string; path: string; body?: object }
type Endpoint = { name: string; kind: 'simple' | 'complex'; shot: (n: number) => Shot }

/** Requests of people who run an organization, spread over all of them; and the heavy ones on the big one. */
const endpointsOf = ({ organizations }: EndpointsAmount): Endpoint[] => {
  const path = (n: number) => `/v1/organizations/bench-${1 + ((n * 7919) % organizations)}`
  const read = (name: string, what: string): Endpoint => ({
    name,
    kind: 'simple',
    shot: (n) => ({ method: 'GET', path: `${path(n)}${what}` }),
  })
  return [
    read('GET organization, the first of each', ''),
    read('GET member', '/members/u3'),
    read('GET members, a page', '/members?limit=50'),
    read('GET roles', '/roles'),
    read('GET grants, a page', '/grants?limit=50'),
    read('GET workspaces', '/workspaces'),
    {
      name: 'PATCH organization',
      kind: 'simple',
      shot: (n) => ({ method: 'PATCH', path: path(n), body: { description: `d${n}` } }),
    },
    {
      name: 'PUT member',
      kind: 'simple',
      shot: (n) => ({
        method: 'PUT',
        path: `${path(n)}/members/new${n}`,
        body: { roles: ['viewer'] },
      }),
    },
    {
      name: 'POST grant',
      kind: 'simple',
      shot: (n) => ({
        method: 'POST',
        path: `${path(n)}/grants`,
        body: { subject: 'user:u2', permission: 'scenario:execute', resource: `scenario:${n}` },
      }),
    },
    {
      name: 'POST check, explained',
      kind: 'simple',
      shot: (n) => ({
        method: 'POST',
        path: '/check',
        body: {
          organization: `bench-${1 + ((n * 7919) % organizations)}`,
          subject: 'user:u3',
          permission: 'scenario:read',
          explain: true,
        },
      }),
    },
    {
      name: 'GET members of the big organization, a page in the middle',
      kind: 'complex',
      shot: () => ({ method: 'GET', path: '/v1/organizations/bench-1/members?role=manager' }),
    },
    {
      name: 'search subjects',
      kind: 'complex',
      shot: (n) => ({
        method: 'POST',
        path: `${path(n)}/search/subjects`,
        body: { permission: 'scenario:read' },
      }),
    },
    {
      name: 'search permissions',
      kind: 'complex',
      shot: (n) => ({
        method: 'POST',
        path: `${path(n)}/search/permissions`,
        body: { subject: 'user:u3', limit: 200 },
      }),
    },
    {
      name: 'preview of a role change',
      kind: 'complex',
      shot: (n) => ({
        method: 'POST',
        path: `${path(n)}/preview`,
        body: { change: { kind: 'member', user: 'u3', roles: ['manager'] } },
      }),
    },
  ]
}

const ask = (agent: Agent, url: string, { method, path, body }: Shot) =>
  new Promise<void>((resolve, reject) => {
    const text = body ? JSON.stringify(body) : undefined
    const headers = {
      ...AUTHORIZATION,
      ...(text
        ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
        : {}),
    }
    const asked = request(`${url}${path}`, { method, agent, headers }, (answer) => {
      let heard = ''
      answer.setEncoding('utf8')
      answer.on('data', (chunk) => {
        heard += chunk
      })
      answer.on('end', () => {
        if ((answer.statusCode ?? 0) >= 300)
          reject(new Error(`${method} ${path}: ${answer.statusCode} ${heard.slice(0, 300)}`))
        else resolve()
      })
    })
    asked.on('error', reject)
    asked.end(text)
  })

type Asking = { url: string; agent: Agent; endpoint: Endpoint; from: number }

/**
 * Milliseconds of each request, from the moment it was due: each client asks at its own times, evenly spread, and asks late
 * when the answer before is late, which then counts as waiting.
 */
const timesOf = async (
  { url, agent, endpoint, from }: Asking,
  { clients, perSecond, seconds }: EndpointsAmount,
) => {
  const times: number[] = []
  const each = perSecond * seconds
  const startedAtMs = performance.now()
  const client = async (number: number) => {
    for (let turn = 0; turn < each; turn++) {
      const dueAtMs = startedAtMs + ((turn + number / clients) * 1000) / perSecond
      const early = dueAtMs - performance.now()
      if (early > 0) await sleep(early)
      await ask(agent, url, endpoint.shot(from + turn * clients + number))
      times.push(performance.now() - dueAtMs)
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)))
  return times
}

/** Answers a second where every client asks again at once. */
const rateOf = async (
  { url, agent, endpoint, from }: Asking,
  { clients, requests }: EndpointsAmount,
) => {
  const startedAtMs = performance.now()
  let next = 0
  const client = async () => {
    while (next < requests) await ask(agent, url, endpoint.shot(from + next++))
  }
  await Promise.all(Array.from({ length: clients }, client))
  return (requests * 1000) / (performance.now() - startedAtMs)
}

const WARM_UP_SECONDS = 2
const TARGET_MS = { simple: 50, complex: 200 } as const

const figuresOf = async (
  url: string,
  endpoint: Endpoint,
  amount: EndpointsAmount,
): Promise<Figure[]> => {
  const { clients, perSecond, requests } = amount
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  const asking = { url, agent, endpoint, from: 0 }
  try {
    // Not counted: the first requests of a kind are compiled and planned.
    const warmUp = await timesOf(asking, { ...amount, seconds: WARM_UP_SECONDS })
    const times = await timesOf({ ...asking, from: warmUp.length }, amount)
    const rate = await rateOf({ ...asking, from: warmUp.length + times.length }, amount)
    return [
      {
        name: `${endpoint.name}, p95`,
        value: percentile(times, 0.95),
        lowest: median(times),
        highest: percentile(times, 0.99),
        unit: 'ms',
        target: TARGET_MS[endpoint.kind],
        reach: 'at most',
        note: `${endpoint.kind}; lowest is p50, highest p99; ${clients} clients, each ${perSecond} requests a second`,
      },
      {
        name: `${endpoint.name}, at most`,
        value: rate,
        lowest: rate,
        highest: rate,
        unit: 'requests/s',
        note: `${clients} clients that ask again at once, ${requests} requests`,
      },
    ]
  } finally {
    agent.destroy()
  }
}

/** Every kind of request of the management API, by many clients at once, over many organizations. */
export const benchEndpoints = async (
  postgresUrl: string,
  amount: EndpointsAmount,
): Promise<Figure[]> => {
  const name = 'bench_endpoints'
  await asAdministrator(postgresUrl, `drop database if exists ${name} with (force)`)
  await asAdministrator(postgresUrl, `create database ${name}`)
  const url = within(postgresUrl, name)
  const settings = { DATABASE_URL: url, JOB_QUEUES: 'none' }
  const filling = step('organizations and members')
  const opened = await openMigrated({
    ...settings,
    LATCHKEY_ADMIN_KEY: AUTHORIZATION.authorization.slice(7),
  })
  await opened.close()
  const sql = connect({ url }, { connectionsMax: 1 })
  await fill(sql, amount)
  await sql`vacuum analyze`
  await sql.end()
  filling.done()
  const server = await startLatchkey(settings)
  const figures: Figure[] = []
  try {
    const endpoints = endpointsOf(amount)
    const asking = step('endpoints', endpoints.length)
    for (const [at, endpoint] of endpoints.entries()) {
      asking.at(at, endpoint.name)
      figures.push(...(await figuresOf(server.url, endpoint, amount)))
    }
    asking.done()
    return figures
  } finally {
    await server.stop()
    await asAdministrator(postgresUrl, `drop database if exists ${name} with (force)`)
  }
}
