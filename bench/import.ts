import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createOperatorKey } from '../src/api-keys/service.ts'
import { assemble, openDatabase } from '../src/node.ts'
import { readConfig } from '../src/platform/config.ts'
import { silentLog } from '../src/platform/log.ts'

// How long a document of 100,000 objects takes. Run by itself, on embedded storage or on the server that DATABASE_URL
// names (a fresh database):
//   node bench/import.ts [objects]
// The clock includes parsing, checking, writing and the commit; "stall" is the longest the process answered nobody.

const OBJECTS = Number(process.argv[2] ?? 100_000)
const share = (part: number) => Math.round(OBJECTS * part)
const [MEMBERS, TEAMS, RESOURCES, GRANTS] = [share(0.2), share(0.002), share(0.2), share(0.598)]
const TEAM_SIZE = 50

const times = <Item>(count: number, make: (index: number) => Item) =>
  Array.from({ length: count }, (_, index) => make(index))

const ROLES = ['read', 'write', 'admin'].map((action, index, all) => ({
  name: `repo-${action}`,
  permissions: [`repo:${action}`],
  inherits: all.slice(Math.max(index - 1, 0), index).map((each) => `repo-${each}`),
}))

const documentOf = () => ({
  roles: ROLES,
  members: times(MEMBERS, (n) => ({
    user: `u${n}`,
    roles: n % 4 === 0 ? ['repo-read'] : [],
    attributes: n % 10 === 0 ? { level: n % 7 } : {},
  })),
  teams: times(TEAMS, (n) => ({
    slug: `team-${n}`,
    parent: n % 5 === 0 ? null : `team-${n - (n % 5)}`,
    members: times(TEAM_SIZE, (m) => `u${(n * TEAM_SIZE + m) % MEMBERS}`),
  })),
  workspaces: times(20, (n) => ({ slug: `w${n}`, name: `Workspace ${n}` })),
  resources: times(RESOURCES, (n) => ({
    type: 'repo',
    id: `repository-${n}`,
    workspace: n % 3 === 0 ? null : `w${n % 20}`,
    attributes: n % 10 === 0 ? { tier: n % 3 } : {},
  })),
  grants: times(GRANTS, (n) => ({
    subject: n % 6 === 0 ? `team:team-${n % TEAMS}` : `user:u${(n * 7) % MEMBERS}`,
    role: `repo-${['read', 'write', 'admin'][n % 3]}`,
    resource: `repo:repository-${(n * 13 + Math.floor(n / RESOURCES)) % RESOURCES}`,
    ...(n % 20 === 0 ? { condition: 'context.ip != ""' } : {}),
  })),
})

const dataDir = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
const config = readConfig({
  ...process.env,
  DATA_DIR: dataDir,
  LATCHKEY_DEMO: 'off',
  DEFAULT_PLAN: 'custom',
})
const database = await openDatabase(config, silentLog)
try {
  const { app, context } = await assemble(config, database, silentLog)
  const { token: operator } = await createOperatorKey(context, {
    name: 'bench',
    role: 'super_admin',
  })
  const call = async (what: string, body?: string, key = operator) => {
    const [method, path] = what.split(' ') as [string, string]
    const response = await app.request(path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${what} answered ${response.status} ${text.slice(0, 400)}`)
    return text
  }
  const measured = async (name: string, work: () => Promise<unknown>) => {
    const delay = monitorEventLoopDelay({ resolution: 5 })
    delay.enable()
    const startedAtMs = performance.now()
    await work()
    const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    delay.disable()
    const stallMs = Math.round(delay.max / 1e6)
    console.log(`${name.padEnd(44)} ${seconds.padStart(6)} s   stall ${stallMs} ms`)
  }

  await call('PUT /v1/resource-types/repo', '{"strict":true}')
  for (const action of ['read', 'write', 'admin'])
    await call(
      'POST /v1/permissions',
      JSON.stringify({ key: `repo:${action}`, scope: 'workspace' }),
    )
  const organization = async (slug: string) => {
    await call('POST /v1/organizations', JSON.stringify({ name: slug, slug, owner: 'user:owner' }))
    const path = `/v1/organizations/${slug}`
    const key = JSON.parse(
      await call(`POST ${path}/api-keys`, JSON.stringify({ name: 'admin', roles: ['admin'] })),
    )
    for (const action of ['read', 'write', 'admin'])
      await call(
        `POST ${path}/grants`,
        JSON.stringify({ subject: `key:${key.id}`, permission: `repo:${action}` }),
      )
    return { path, admin: key.secret as string }
  }

  const document = JSON.stringify(documentOf())
  const [one, two] = [await organization('one'), await organization('two')]
  console.log(
    `${database.kind} · ${3 + MEMBERS + TEAMS + 20 + RESOURCES + GRANTS} objects and ${TEAMS * TEAM_SIZE} team memberships, ` +
      `${(document.length / 1e6).toFixed(1)} MB · ${cpus().length} × ${cpus()[0]?.model} · load ${loadavg()[0]?.toFixed(1)}`,
  )
  await measured('dry run', () => call(`POST ${one.path}/import?dryRun=true`, document))
  await measured('import', () => call(`POST ${one.path}/import`, document))
  await measured('the same again', () => call(`POST ${one.path}/import`, document))
  let exported = ''
  await measured('export', async () => {
    exported = await call(`GET ${one.path}/export`)
  })
  await measured('import of the export, nothing to change', () =>
    call(`POST ${one.path}/import`, exported),
  )
  await measured('import by a key with the role admin', () =>
    call(`POST ${two.path}/import`, document, two.admin),
  )
} finally {
  await database.close()
  await rm(dataDir, { recursive: true, force: true })
}
