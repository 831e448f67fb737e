import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { closingLine } from './test/support/closing-line.ts'

// test/<module>/<file>.test.ts runs on both databases; another name says what else it needs:
//   *.unit.test.ts      no database      (and test/engine, test/architecture.test.ts)
//   *.postgres.test.ts  a real server    (races, what embedded storage cannot do)
//   *.embedded.test.ts  embedded storage
const UNIT = ['test/**/*.unit.test.ts', 'test/engine/**/*.test.ts', 'test/architecture.test.ts']

// What embedded storage has no part of its own in, so that a real server shows as much: who may do what, what callers are kept from,
// other machines, guides. `npm run test:embedded` runs it there, too.
const SHOWN_BY_A_SERVER = [
  'test/{authzen,docs,search,preview}/**/*.test.ts',
  'test/organizations/{escalation,detours,lost-power,order,leaks,mistakes,names}.test.ts',
  'test/catalog/{kept,ratings,card,n8n}.test.ts',
  'test/templates/{seen,from-scenario,role-pack,fails-closed,publisher}.test.ts',
  'test/imports/{ceiling,ndjson,github-orgs}.test.ts',
  'test/domains/{claims,joining}.test.ts',
  'test/jobs/{guide,explain,schedules}.test.ts',
  'test/webhooks/{delivery,guide}.test.ts',
  'test/api-keys/nodes.test.ts',
  'test/invitations/workspace.test.ts',
  'test/platform/{jwt,rate-limit}.test.ts',
  'test/usage/{analytics,kept}.test.ts',
  'test/roles/kept.test.ts',
  'test/cli/{packs,remote}.test.ts',
  'test/optimizer/findings.test.ts',
  'test/advisor/{shadow,read-target,formula}.test.ts',
  'test/indexes/{registry,verify}.test.ts',
  'test/{every-route,imports/export,organizations/lifecycle}.test.ts',
]
// What puts something in the place of a module: it needs a worker of its own, as all files on a real server have.
const APART = ['test/templates/fails-closed.test.ts']
const isLong = process.env.LATCHKEY_LONG === 'on'
/** Hundreds of processes are started: the types of our sources are stripped once, not by each. */
const CACHE = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/compile', import.meta.url)),
}

const onDatabase = (name: 'postgres' | 'embedded', other: string) => ({
  test: {
    name,
    // Most of what a file on embedded storage takes is to load what it tests: workers keep it. Races stay by themselves.
    isolate: name === 'postgres',
    include: ['test/**/*.test.ts'],
    exclude: [
      ...UNIT,
      ...(name === 'embedded' ? APART : []),
      `test/**/*.${other}.test.ts`,
      ...(name === 'embedded' && !isLong ? SHOWN_BY_A_SERVER : []),
    ],
    env: { ...CACHE, TEST_DATABASE: name },
    globalSetup: ['test/support/template.ts'],
    testTimeout: 90_000,
    hookTimeout: 120_000,
  },
})

export default defineConfig({
  test: {
    // One more than cores, because tests of servers that break wait much; an embedded database holds about half a gigabyte in
    // each worker, several of them until they are collected.
    maxWorkers: Math.min(Math.max(availableParallelism() + 1, 2), 4),
    reporters: ['default', closingLine()],
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary'],
      autoAttachSubprocess: true,
      thresholds: { lines: 90, 'src/engine/**': { lines: 95 } },
    },
    projects: [
      { test: { name: 'unit', isolate: false, include: UNIT, testTimeout: 90_000, env: CACHE } },
      onDatabase('postgres', 'embedded'),
      onDatabase('embedded', 'postgres'),
    ],
  },
})
