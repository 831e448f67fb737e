import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

// The long form of the chaos suite: ten thousand jobs in each cell (npm run chaos).
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', '--project', 'postgres', 'test/chaos', ...process.argv.slice(2)],
  { stdio: 'inherit', env: { LATCHKEY_CHAOS_JOBS: '10000', ...process.env } },
)
process.exitCode = status ?? 1
