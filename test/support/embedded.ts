import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

// Every suite on embedded storage (npm run test:embedded), those too that npm test runs on a real server only.
const vitest = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', '--project', 'embedded', ...process.argv.slice(2)],
  { stdio: 'inherit', env: { LATCHKEY_LONG: 'on', ...process.env } },
)
process.exitCode = status ?? 1
