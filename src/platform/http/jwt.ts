import { createRemoteJWKSet, errors, jwtVerify } from 'jose'
import type { Actor } from '../context.ts'
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
export const createJwtVerifier = ({ issuer, audience, jwksUrl }: JwtSettings) => {
  const keys = createRemoteJWKSet(new URL(jwksUrl), {
    cooldownDuration: REFETCH_MS,
    timeoutDuration: 5000,
  })
  return async (token: string, now: Date): Promise<Identity | undefined> => {
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
      }
      return { actor, untilMs: (payload.exp! + CLOCK_TOLERANCE_SECONDS) * 1000 }
    } catch (error) {
      if (isUnreachable(error))
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

/** Not a fault of the token: its issuer did not answer, or not with keys. */
const isUnreachable = (error: unknown) =>
  error instanceof errors.JWKSTimeout ||
  error instanceof errors.JWKSInvalid ||
  (error instanceof errors.JOSEError && error.code === 'ERR_JOSE_GENERIC') ||
  error instanceof TypeError
