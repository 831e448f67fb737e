import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

// The long form of the slow suites (npm run chaos): ten thousand jobs in each cell of the chaos suite, forty rounds of each race
// for ownership, ten thousand rounds of each way in which nodes learn of a revoke, Redis and PostgreSQL that break under whole
// servers, all suites on slices, the ends of workers.
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))
const { status } = spawnSync(
  process.execPath,
  [
    vitest,
    'run',
    '--project',
    'postgres',
    'test/chaos',
    'test/ownership/races',
    'test/freshness',
    'test/decisions/freshness',
    'test/decisions/on-slices',
    'test/decisions/slices-',
    'test/runtime/workers-life',
    'test/cli/templates',
    'test/runtime/database-restart',
    ...process.argv.slice(2),
  ],
  {
    stdio: 'inherit',
    env: {
      LATCHKEY_CHAOS_JOBS: '10000',
      LATCHKEY_RACE_ROUNDS: '40',
      LATCHKEY_FRESHNESS_ROUNDS: '10000',
      LATCHKEY_LONG: 'on',
      ...process.env,
    },
  },
)
process.exitCode = status ?? 1
