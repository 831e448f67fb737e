import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

// The long form of the slow suites: ten thousand jobs in each cell of the chaos suite, and forty rounds of each race for
// ownership (npm run chaos).
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
    ...process.argv.slice(2),
  ],
  {
    stdio: 'inherit',
    env: { LATCHKEY_CHAOS_JOBS: '10000', LATCHKEY_RACE_ROUNDS: '40', ...process.env },
  },
)
process.exitCode = status ?? 1
