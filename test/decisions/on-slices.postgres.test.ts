// The same suites over servers that hold slices only. `TEST_SLICES=always npx vitest run …` asks any suite so.
process.env.TEST_SLICES = 'always'
await import('./check.test.ts')
await import('./freshness.postgres.test.ts')
await import('../scenarios.test.ts')
await import('../authzen/vectors.test.ts')
await import('../imports/github-orgs.test.ts')
