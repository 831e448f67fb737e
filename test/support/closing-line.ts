import type { Reporter, SerializedError, TestModule } from 'vitest/node'

// A test may need what is no part of the repository: `context.skip("optional: …")`.
const OPTIONAL = 'optional: '

type Counts = { passed: number; failed: number; skipped: number; optional: number }

/** Ends the run with `N passed, N failed, N skipped` alone on its last line; with CI=true a skip fails. */
export const closingLine = (): Reporter => {
  let counts: Counts | undefined
  // Coverage is printed after the last report, so the line waits for the exit.
  process.once('exit', () => counts && process.stdout.write(`${lineOf(counts)}\n`))
  return {
    onTestRunEnd: (modules, errors, reason) => {
      counts = count(modules, errors)
      // What failed may be neither a test nor a file: a set-up before the first of them.
      if (reason !== 'passed' && counts.failed === 0) counts.failed = 1
      const refused = counts.skipped - counts.optional
      if (process.env.CI !== 'true' || refused === 0) return
      console.error(`\nwith CI=true nothing may be skipped, but ${refused} tests were`)
      process.exitCode = 1
    },
  }
}

/** Counts tests, and as failures also files that could not run and errors outside of any test. */
const count = (
  modules: readonly TestModule[],
  errors: readonly SerializedError[] | readonly unknown[],
): Counts => {
  const counts = { passed: 0, failed: errors.length, skipped: 0, optional: 0 }
  for (const module of modules) {
    const before = counts.failed
    for (const test of module.children.allTests()) {
      const result = test.result()
      if (result.state === 'passed') counts.passed++
      else if (result.state === 'failed') counts.failed++
      else counts.skipped++
      if (result.state === 'skipped' && result.note?.startsWith(OPTIONAL)) counts.optional++
    }
    if (!module.ok() && counts.failed === before) counts.failed++
  }
  return counts
}

const lineOf = ({ passed, failed, skipped }: Counts) =>
  `${passed} passed, ${failed} failed, ${skipped} skipped`
