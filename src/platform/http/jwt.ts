import { createRemoteJWKSet, customFetch, errors, type JWTPayload, jwtVerify } from 'jose'
import type { Caches } from '../cache/tiered-cache.ts'
import type { Actor, Session } from '../context.ts'
import type { Sql } from '../db/connect.ts'
import { Problem } from '../problem.ts'

export type JwtSettings = { issuer: string; audience: string; jwksUrl: string }

/** A verified token: who it is, and until when. */
export type Identity = { actor: Actor; untilMs: number }

const CLOCK_TOLERANCE_SECONDS = 30
/** An unknown `kid` makes us fetch the keys again, but not more often than this. */
const REFETCH_MS = 60_000
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
]

/**
 * Verifies JSON Web Tokens (RFC 7519) by the issuer's published keys: signature, issuer, audience, times. Symmetric and
 * unsigned tokens are refused.
 */
export const createJwtVerifier = ({ issuer, audience, jwksUrl }: JwtSettings, caches: Caches) => {
  let lastSql: Sql | undefined
  let isStale = false
  const keys = createRemoteJWKSet(new URL(jwksUrl), {
    cooldownDuration: REFETCH_MS,
    timeoutDuration: 5000,
    [customFetch]: async (url, init) => {
      const published = await publishedKeys(caches, lastSql!, url, init)
      isStale = published.isStale
      return Response.json(published.value)
    },
  })
  return async (sql: Sql, token: string, now: Date): Promise<Identity | undefined> => {
    lastSql = sql
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ['sub', 'exp'],
        currentDate: now,
      })
      if (
        !payload.sub ||
        payload.sub.length > 400 ||
        !payload.sub.isWellFormed() ||
        payload.sub.includes('\u0000')
      )
        return undefined
      const actor = {
        subject: `user:${payload.sub}`,
        apiKeyId: null,
        organizationId: null,
        restrictedTo: null,
        verifiedEmail: verifiedEmailOf(payload),
        session: sessionOf(payload),
      }
      return { actor, untilMs: (payload.exp! + CLOCK_TOLERANCE_SECONDS) * 1000 }
    } catch (error) {
      // What is not among old keys may be among those that cannot be fetched.
      if (isUnreachable(error) || (isStale && error instanceof errors.JWKSNoMatchingKey))
        throw new Problem(
          'unavailable',
          'issuer-unavailable',
          'The keys of the token issuer cannot be fetched.',
        )
      if (error instanceof errors.JOSEError) return undefined
      throw error
    }
  }
}

/**
 * What an issuer publishes. It is always asked, so that a key that was withdrawn counts no longer; where it does not answer,
 * what it published at most a day ago does, for all nodes.
 */
const publishedKeys = async (caches: Caches, sql: Sql, url: string, init: RequestInit) => {
  const question = { sql, organizationId: 'platform', revision: 0, key: `jwks ${url}` }
  const anew = { ...question, isCurrent: () => false }
  return caches.namespace('idp').get(anew, async () => {
    const answer = await fetch(url, init)
    if (answer.status !== 200) throw new errors.JOSEError(`the issuer answered ${answer.status}`)
    return { value: (await answer.json()) as Record<string, unknown>, revision: 0 }
  })
}

/**
 * OpenID Connect Core §5.1: an address counts only where the issuer says that it verified it. Only letters of ASCII are
 * folded: in Unicode a Kelvin sign becomes a k, and another's address the one that was invited.
 */
const verifiedEmailOf = ({ email, email_verified: isVerified }: JWTPayload): string | undefined =>
  isVerified === true && typeof email === 'string' && email.length <= 254
    ? email.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    : undefined

/** Authentication Method References of a single factor (RFC 8176 §2), by what the person shows with them. */
const FACTORS: Record<string, string> = {
  ...Object.fromEntries(['pwd', 'pin', 'kba'].map((method) => [method, 'knows'])),
  ...Object.fromEntries(['otp', 'hwk', 'swk', 'sms', 'tel', 'sc'].map((method) => [method, 'has'])),
  ...Object.fromEntries(['face', 'fpt', 'iris', 'retina', 'vbm'].map((method) => [method, 'is'])),
}

/** Authentication contexts that mean more than one factor: REFEDS, PAPE, NIST SP 800-63. */
const MULTI_FACTOR_CONTEXTS = new Set([
  'https://refeds.org/profile/mfa',
  'http://schemas.openid.net/pape/policies/2007/06/multi-factor',
  'http://idmanagement.gov/ns/assurance/aal/2',
  'http://idmanagement.gov/ns/assurance/aal/3',
])

/** How and when the person signed in (OpenID Connect Core §2). */
const sessionOf = ({ auth_time: signedInAt, iat, amr, acr }: JWTPayload): Session => {
  const methods = Array.isArray(amr) ? amr.filter((method) => typeof method === 'string') : []
  const factors = new Set(
    methods.flatMap((method) => (Object.hasOwn(FACTORS, method) ? [FACTORS[method]] : [])),
  )
  const since = signedInAt ?? iat
  return {
    sinceMs: typeof since === 'number' ? since * 1000 : null,
    isMultiFactor:
      methods.includes('mfa') ||
      factors.size > 1 ||
      (typeof acr === 'string' && MULTI_FACTOR_CONTEXTS.has(acr)),
  }
}

/** Not a fault of the token: its issuer did not answer, or not with keys. */
const isUnreachable = (error: unknown) =>
  error instanceof errors.JWKSTimeout ||
  error instanceof errors.JWKSInvalid ||
  (error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC') ||
  error instanceof TypeError
