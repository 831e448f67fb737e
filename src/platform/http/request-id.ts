const SAFE = /^[\x21-\x7e]{1,200}$/

/** The caller's `X-Request-ID` if it is short and printable, else a new one. */
export const requestIdOf = (given: string | undefined): string =>
  given !== undefined && SAFE.test(given) ? given : crypto.randomUUID()
