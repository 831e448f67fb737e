import { existsSync, globSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Arrow, type House, houseOf, reachedFrom, readHouse } from './support/house.ts'
import { skipped } from './support/provided.ts'

/** A package and the one place that may import it. */
const HOMES: Record<string, RegExp> = {
  casbin: /^src\/engine\//,
  '@marcbachmann/cel-js': /^src\/engine\//,
  postgres: /^src\/platform\/db\//,
  '@electric-sql/*': /^src\/platform\/db\//,
  jose: /^src\/platform\/http\//,
  pino: /^src\/platform\//,
  'prom-client': /^src\/platform\//,
  'hono-openapi': /^src\/(?:app\.ts|node\.ts|platform\/http\/|[^/]+\/routes\.ts)/,
  '@hono/*': /^src\/(?:app\.ts|node\.ts|platform\/http\/|[^/]+\/routes\.ts)/,
  bullmq: /^src\/platform\/jobs\//,
  redis: /^src\/platform\/cache\//,
  '@upstash/*': /^src\/platform\/cache\//,
  nodemailer: /^src\/platform\/(?:mail|node)\//,
  croner: /^src\/platform\/jobs\//,
  'libpg-query': /^src\/platform\/node\//,
  canonicalize: /^src\/scenarios\//,
  semver: /^src\/templates\//,
  'spdx-license-ids': /^src\/templates\//,
  '@secretlint/*': /^src\/templates\//,
  commander: /^src\/cli(?:\.ts|\/)/,
  'cli-progress': /^src\/cli(?:\.ts|\/)/,
}

/** Lower modules first: a module imports only from those before it. A module not listed fails. */
const ORDER = [
  ...['audit', 'permissions', 'decisions', 'usage', 'roles', 'organizations', 'settings'],
  ...['members', 'ownership', 'domains'],
  ...['workspaces', 'resources', 'teams', 'grants', 'api-keys', 'preview', 'search'],
  ...['imports', 'authzen'],
  ...[
    'invitations',
    'scenarios',
    'templates',
    'orders',
    'installations',
    'moderation',
    'catalog',
    'findings',
    'compliance',
    'cache',
    'webhooks',
    'archives',
  ],
  ...['jobs', 'optimizer', 'workload', 'advisor', 'indexes', 'recommendations'],
]

/** What each part of the house may import of the others. */
const DOWN: Record<string, string[]> = {
  node: ['app', 'demo', 'module', 'engine', 'platform'],
  demo: ['module', 'platform'],
  worker: ['app', 'module', 'engine', 'platform'],
  cli: ['cli', 'demo', 'node', 'app', 'module', 'engine', 'platform', 'client'],
  app: ['app', 'module', 'engine', 'platform'],
  module: ['module', 'engine', 'platform'],
  platform: ['platform'],
  engine: ['engine'],
  client: ['client', 'module'],
  console: ['console', 'client'],
}

/** Files that know Node: the ways in and the drivers only they import. */
const KNOWS_NODE =
  /^src\/(?:node\.ts|cli\.ts|cli\/|platform\/node\/|platform\/db\/(?:shadow\/|(?:embedded|data-dir-lock|migrations|turns)\.ts))/

const LINES_MEDIAN_MAX = 100

const partOf = (path: string) => {
  const [, part = ''] = /^src\/([^/.]+)/.exec(path) ?? []
  return part in DOWN && part !== 'module' ? part : 'module'
}
const moduleOf = (path: string) =>
  partOf(path) === 'module' ? /^src\/([^/]+)\//.exec(path)?.[1] : undefined
const fileOf = (path: string) => /([^/]+)\.tsx?$/.exec(path)?.[1] ?? ''
const isPackage = (to: string, name: string) =>
  name.endsWith('/*') ? to.startsWith(name.slice(0, -1)) : to === name || to.startsWith(`${name}/`)
const isBuiltIn = (to: string) => to.startsWith('node:') || builtinModules.includes(to)
const isOurs = ({ to }: Arrow) => to.startsWith('src/')

const arrows = (house: House, refused: (arrow: Arrow) => unknown) =>
  house.arrows.filter(refused).map(({ from, to }) => `${from} → ${to}`)
const files = (house: House, where: RegExp, forbidden: RegExp) =>
  house.sources
    .filter(({ path, text }) => where.test(path) && forbidden.test(text))
    .map((s) => s.path)

/** From the outside only these, and `app.ts` lists the routes and jobs; a schema or a repository needs no more than the words of another module. */
const mayEnter = ({ from, to }: Arrow) => {
  const door = fileOf(to)
  if (door === 'schema') return true
  if (door === 'routes' || door === 'jobs') return partOf(from) === 'app'
  // What may be given, and the conditions it is given under: every module that gives asks here.
  if (to === 'src/decisions/ceiling.ts' || to === 'src/decisions/compare.ts')
    return !['routes', 'schema', 'repository'].includes(fileOf(from))
  if (door !== 'service' || partOf(from) === 'client') return false
  return partOf(from) !== 'module' || !['schema', 'repository'].includes(fileOf(from))
}

/** Inside a module: routes → service → repository → schema; other files are free but reach no routes. */
const pointsUpInside = ({ from, to }: Arrow) => {
  const order = ['schema', 'repository', 'service', 'routes']
  const [above, below] = [order.indexOf(fileOf(from)), order.indexOf(fileOf(to))]
  if (fileOf(to) === 'routes') return true
  if (fileOf(from) === 'routes' && fileOf(to) === 'repository') return true
  return above >= 0 && below >= 0 && above <= below
}

type Rule = {
  /** What in this house breaks the rule. */
  refused: (house: House) => string[]
  /** Files of which each alone breaks it. */
  planted: Record<string, string>
  /** Files that keep it although they look close. */
  kept?: Record<string, string>
}

const RULES: Record<string, Rule> = {
  ...Object.fromEntries(
    Object.entries(HOMES).map(([name, home]): [string, Rule] => [
      `only its home imports ${name}`,
      {
        refused: (house) =>
          arrows(house, ({ from, to }) => isPackage(to, name) && !home.test(from)),
        planted: {
          'src/grants/service.ts': `import x from '${name.replace('*', 'x')}'`,
          'src/grants/search.ts': `export * from '${name.replace('*', 'x')}'`,
          'src/worker.ts': `const { x } = await import('${name.replace('*', 'x')}')`,
        },
        kept: { 'src/grants/service.ts': `import x from './${name}.ts' // from '${name}'` },
      },
    ]),
  ),

  'every part of src is a listed module or has its place': {
    refused: ({ sources }) =>
      sources
        .map(({ path }) => path)
        .filter((path) => partOf(path) === 'module' && !ORDER.includes(moduleOf(path) ?? '')),
    planted: { 'src/wizards/service.ts': '', 'src/server.ts': '' },
    kept: { 'src/grants/service.ts': '', 'src/app.ts': '', 'src/console/main.tsx': '' },
  },

  'arrows point down only': {
    refused: (house) =>
      arrows(
        house,
        (arrow) => isOurs(arrow) && !DOWN[partOf(arrow.from)]?.includes(partOf(arrow.to)),
      ),
    planted: {
      'src/grants/service.ts': `import { app } from '../app.ts'`,
      'src/app.ts': `import { start } from './node.ts'`,
      'src/worker.ts': `import { start } from './node.ts'`,
      'src/client/client.ts': `import { Problem } from '../platform/problem.ts'`,
      'src/console/main.tsx': `import { Grant } from '../grants/schema.ts'`,
    },
    kept: {
      'src/app.ts': `import { grantRoutes } from './grants/routes.ts'`,
      'src/cli/import.ts': `import { connect } from '../platform/db/connect.ts'`,
    },
  },

  'platform and engine import no module': {
    refused: (house) =>
      arrows(house, (arrow) => {
        const [from, to] = [partOf(arrow.from), partOf(arrow.to)]
        return isOurs(arrow) && from !== to && ['platform', 'engine'].includes(from)
      }),
    planted: {
      'src/platform/http/authenticate.ts': `import { getKey } from '../../api-keys/service.ts'`,
      'src/platform/context.ts': `import type { Grant } from '../grants/schema.ts'`,
      'src/engine/compile.ts': `import { Grant } from '../grants/schema.ts'`,
      'src/engine/load.ts': `import { connect } from '../platform/db/connect.ts'`,
      'src/platform/page.ts': `import { decide } from '../engine/decide.ts'`,
    },
    kept: { 'src/engine/compile.ts': `import { parse } from './line.ts'` },
  },

  'a module is entered by its service or its schema': {
    refused: (house) =>
      arrows(house, (arrow) => {
        const entered = isOurs(arrow) && moduleOf(arrow.to)
        return entered && entered !== moduleOf(arrow.from) && !mayEnter(arrow)
      }),
    planted: {
      'src/grants/service.ts': `import { findRole } from '../roles/repository.ts'`,
      'src/grants/routes.ts': `import { roleRoutes } from '../roles/routes.ts'`,
      'src/grants/repository.ts': `import { getRole } from '../roles/service.ts'`,
      'src/grants/schema.ts': `import { getRole } from '../roles/service.ts'`,
      'src/grants/search.ts': `import { ceiling } from '../roles/ceiling.ts'`,
      'src/app.ts': `import { insertGrant } from './grants/repository.ts'`,
      'src/client/client.ts': `import { getRole } from '../roles/service.ts'`,
    },
    kept: {
      'src/grants/service.ts': `import { getRole } from '../roles/service.ts'`,
      'src/grants/schema.ts': `import { RoleName } from '../roles/schema.ts'`,
      'src/roles/service.ts': `import { ceiling } from './ceiling.ts'`,
    },
  },

  'a module is entered only from above': {
    refused: (house) =>
      arrows(house, (arrow) => {
        const [from, to] = [moduleOf(arrow.from), moduleOf(arrow.to)]
        return isOurs(arrow) && from && to && ORDER.indexOf(from) < ORDER.indexOf(to)
      }),
    planted: {
      'src/roles/service.ts': `import { endGrants } from '../grants/service.ts'`,
      'src/audit/schema.ts': `import { Role } from '../roles/schema.ts'`,
    },
    kept: { 'src/grants/service.ts': `import { getRole } from '../roles/service.ts'` },
  },

  'inside a module arrows point from routes to service to repository': {
    refused: (house) =>
      arrows(house, (arrow) => {
        const inside = moduleOf(arrow.from)
        return isOurs(arrow) && inside && inside === moduleOf(arrow.to) && pointsUpInside(arrow)
      }),
    planted: {
      'src/grants/repository.ts': `import { createGrant } from './service.ts'`,
      'src/grants/service.ts': `import { grantRoutes } from './routes.ts'`,
      'src/grants/routes.ts': `import { insertGrant } from './repository.ts'`,
      'src/grants/schema.ts': `import { insertGrant } from './repository.ts'`,
      'src/grants/search.ts': `import { grantRoutes } from './routes.ts'`,
    },
    kept: {
      'src/grants/routes.ts': `import { createGrant } from './service.ts'`,
      'src/grants/service.ts': `import { insertGrant } from './repository.ts'`,
      'src/grants/search.ts': `import { insertGrant } from './repository.ts'`,
    },
  },

  'services and repositories know nothing of HTTP': {
    refused: (house) =>
      arrows(
        house,
        ({ from, to }) =>
          /^src\/[^/]+\/(?:service|repository)\.ts$/.test(from) &&
          /^(?:hono|hono-openapi|@hono)(?:\/|$)|^src\/platform\/http\//.test(to),
      ),
    planted: {
      'src/grants/service.ts': `import { HTTPException } from 'hono/http-exception'`,
      'src/grants/repository.ts': `import type { Context } from 'hono'`,
      'src/roles/service.ts': `import { permit } from '../platform/http/permit.ts'`,
    },
    kept: { 'src/grants/routes.ts': `import { permit } from '../platform/http/permit.ts'` },
  },

  'repositories decide nothing': {
    refused: (house) => files(house, /\/repository\.ts$/, /\bif \(|\bthrow /),
    planted: {
      'src/grants/repository.ts': 'if (!grant) return []',
      'src/roles/repository.ts': `throw new Error('x')`,
    },
    kept: {
      'src/grants/repository.ts': '/** Nothing if (and only if) it is held. */\n// throw nothing',
      'src/grants/service.ts': 'if (!grant) return []',
    },
  },

  'handlers decide nothing': {
    refused: (house) => files(house, /\/routes\.ts$/, /\bif \(|\btry \{/),
    planted: {
      'src/grants/routes.ts': 'if (!grant) return c.notFound()',
      'src/roles/routes.ts': 'try { x() } finally {}',
    },
    kept: { 'src/grants/service.ts': 'try { x() } finally {}' },
  },

  'only config and the ways in read the environment': {
    refused: (house) =>
      files(
        house,
        /^src\/(?!platform\/config\.ts$|node\.ts$|cli\.ts$|cli\/)/,
        /\bprocess\s*(?:\?\.|\.|\[\s*['"])\s*env\b|\benv\b[^=;]*\}\s*=\s*process\b/,
      ),
    planted: {
      'src/grants/service.ts': 'const limit = process.env.LIMIT',
      'src/platform/log.ts': `const limit = process['env'].LIMIT`,
      'src/worker.ts': 'const { env } = process',
    },
    kept: {
      'src/node.ts': 'start(process.env)',
      'src/worker.ts': 'fetch: (request, env) => env.X',
    },
  },

  'only the ways in and the drivers know Node': {
    refused: (house) => arrows(house, ({ from, to }) => isBuiltIn(to) && !KNOWS_NODE.test(from)),
    planted: {
      'src/audit/service.ts': `import { createHash } from 'node:crypto'`,
      'src/platform/db/connect.ts': `import net from 'net'`,
      'src/app.ts': `const fs = await import('node:fs/promises')`,
    },
    kept: {
      'src/platform/db/embedded.ts': `import { rm } from 'node:fs/promises'`,
      'src/cli/import.ts': `import { readFile } from 'node:fs/promises'`,
    },
  },

  'the worker reaches nothing that knows Node': {
    refused: (house) =>
      [...reachedFrom(house, ['src/worker.ts', 'src/app.ts'])].filter(
        (path) => isBuiltIn(path) || KNOWS_NODE.test(path),
      ),
    planted: {
      'src/worker.ts': `import { startEmbedded } from './platform/db/embedded.ts'`,
      'src/app.ts': `import { readMigrations } from './platform/db/migrations.ts'`,
    },
    kept: {
      'src/node.ts': `import { startEmbedded } from './platform/db/embedded.ts'`,
      'src/app.ts': `import type { Embedded } from './platform/db/embedded.ts'`,
    },
  },

  'no file is named for nothing': {
    refused: ({ sources }) =>
      sources
        .map(({ path }) => path)
        .filter((path) => /\/(?:utils?|helpers?|common|misc|index)(?:\.|\/)/.test(path)),
    planted: {
      'src/grants/utils.ts': '',
      'src/platform/helpers/text.ts': '',
      'src/grants/index.ts': '',
      'src/platform/common.ts': '',
    },
    kept: { 'src/engine/index-of-lines.ts': '' },
  },

  'the median file is short': {
    refused: ({ sources }) => {
      const lines = sources.map(({ text }) => text.split('\n').length - 1).sort((a, b) => a - b)
      const median = lines[lines.length >> 1] ?? 0
      return median > LINES_MEDIAN_MAX ? [`${median} lines`] : []
    },
    planted: { 'src/grants/service.ts': '\n'.repeat(LINES_MEDIAN_MAX + 1) },
    kept: { 'src/grants/service.ts': '\n'.repeat(LINES_MEDIAN_MAX) },
  },
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const planted = (kind: 'planted' | 'kept') =>
  Object.entries(RULES).flatMap(([name, rule]) =>
    Object.entries(rule[kind] ?? {}).map(([path, text]) => ({ name, rule, path, text })),
  )

describe('the architecture', () => {
  const house = readHouse(ROOT)
  test('has files and imports to ask about', () => {
    expect(house.sources).not.toHaveLength(0)
    expect(house.arrows).not.toHaveLength(0)
  })
  test.each(Object.entries(RULES))('%s', (_, { refused }) => {
    expect(refused(house)).toEqual([])
  })
})

describe('each rule is seen to fail', () => {
  test.each(planted('planted'))('$name: $path', ({ rule, path, text }) => {
    expect(rule.refused(houseOf([{ path, text }]))).not.toEqual([])
  })
  test.each(planted('kept'))('$name, and leaves alone: $path', ({ rule, path, text }) => {
    expect(rule.refused(houseOf([{ path, text }]))).toEqual([])
  })
})

/** The paths a page names: in text, in code and in links. `<module>` and `*` stand for any name. */
const pathsIn = (page: string) => {
  const found = [
    /(?<![\w/.@-])(?:src|test|bench|docs|examples|migrations|policies|bin|\.ci)\/[\w./<>*@-]*/g,
    /(?<=\]\()(?![a-z]+:|#)[^)#\s]+/g,
    /(?<=`)[\w-]+\.(?:md|json|conf|toml|yaml)(?=`)/g,
  ].flatMap((pattern) => page.match(pattern) ?? [])
  return [...new Set(found.map((path) => path.replace(/\.$/, '').replaceAll(/<[\w-]+>/g, '*')))]
}

const exists = (path: string) =>
  path.includes('*') ? globSync(path, { cwd: ROOT }).length > 0 : existsSync(join(ROOT, path))

const missingIn = (page: string) => pathsIn(page).filter((path) => !exists(path))

describe('ARCHITECTURE.md', () => {
  const page = join(ROOT, 'ARCHITECTURE.md')

  test('names only paths that exist', (context) => {
    if (!existsSync(page)) context.skip(skipped('ARCHITECTURE.md is missing.').skip)
    expect(missingIn(readFileSync(page, 'utf8'))).toEqual([])
  })

  test.each([
    ['in text', 'Read src/nowhere/service.ts.', ['src/nowhere/service.ts']],
    ['in a link', '[the map](docs/nowhere.md#top)', ['docs/nowhere.md']],
    ['of the root', 'See `nowhere.conf`.', ['nowhere.conf']],
    ['of any module', '`src/<module>/nowhere.ts`', ['src/*/nowhere.ts']],
    [
      'that exist',
      'test/support/, `model.conf`, `test/*.test.ts`, [x](https://example.com/src/y)',
      [],
    ],
  ])('is read for paths %s', (_, text, missing) => {
    expect(missingIn(text)).toEqual(missing)
  })
})
