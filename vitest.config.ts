import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'
import { closingLine } from './test/support/closing-line.ts'

// test/<module>/<file>.test.ts runs on both databases; another name says what else it needs:
//   *.unit.test.ts      no database      (and test/engine, test/architecture.test.ts)
//   *.postgres.test.ts  a real server    (races, what embedded storage cannot do)
//   *.embedded.test.ts  embedded storage
const UNIT = ['test/**/*.unit.test.ts', 'test/engine/**/*.test.ts', 'test/architecture.test.ts']

const onDatabase = (name: 'postgres' | 'embedded', other: string) => ({
  test: {
    name,
    include: ['test/**/*.test.ts'],
    exclude: [...UNIT, `test/**/*.${other}.test.ts`],
    env: { TEST_DATABASE: name },
    globalSetup: ['test/support/template.ts'],
    testTimeout: 90_000,
    hookTimeout: 120_000,
  },
})

export default defineConfig({
  test: {
    // One more than cores, because tests of servers that break wait much; an embedded database holds about half a gigabyte in
    // each worker.
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
      { test: { name: 'unit', include: UNIT, testTimeout: 30_000 } },
      onDatabase('postgres', 'embedded'),
      onDatabase('embedded', 'postgres'),
    ],
  },
})
