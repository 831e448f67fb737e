/** A server for the tests: where, how it came to be there, how to end it; or why there is none. */
export type Provided = { url: string; stop: () => Promise<void>; how: string } | { skip: string }

/** Says loudly that a server is missing; with CI=true that is a failure. */
export const skipped = (skip: string): { skip: string } => {
  if (process.env.CI === 'true') throw new Error(`${skip} With CI=true nothing may be skipped.`)
  console.warn(`\nSKIPPED: ${skip}\n`)
  return { skip }
}
