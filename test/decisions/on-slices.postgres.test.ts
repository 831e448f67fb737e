// The same suites over servers that hold slices only. `TEST_SLICES=always npx vitest run …` asks any suite so.
process.env.TEST_SLICES = 'always'
await import('./check.test.ts')
await import('./freshness.postgres.test.ts')
await import('../authzen/vectors.test.ts')
// The others of those that decide: in the long form (npm run chaos).
if (process.env.LATCHKEY_LONG === 'on') {
  await import('../scenarios.test.ts')
  await import('../imports/github-orgs.test.ts')
}
