import { type AddressRange, isInRanges, parseRange } from '../platform/address-range.ts'
import type { Context } from '../platform/context.ts'
import { Problem } from '../platform/problem.ts'
import type { Decision } from './decide.ts'
import { SESSION_TIMEOUT_SECONDS, type StoredSecurity } from './schema.ts'

/** What must hold of whoever calls, and of the end users that services ask about. */
export type Security = {
  readonly requireMfa: boolean
  /** null: the default. */
  readonly sessionTimeoutSeconds: number | null
  /** null: from anywhere. */
  readonly ranges: readonly AddressRange[] | null
}

/** Ready to be asked; null where nothing is set, which is all that most decisions look at. */
export const securityOf = (stored: StoredSecurity): Security | null => {
  const { requireMfa = false, sessionTimeoutSeconds = null, ipAllowList = [] } = stored
  if (!requireMfa && sessionTimeoutSeconds === null && ipAllowList.length === 0) return null
  const ranges = ipAllowList.map((text) => parseRange(text)).filter((range) => range !== undefined)
  return { requireMfa, sessionTimeoutSeconds, ranges: ipAllowList.length === 0 ? null : ranges }
}

type Caller = Pick<Context, 'actor' | 'address'>

/**
 * Why the settings keep a caller out. The address counts for people and keys, the rest for people's tokens: a key signs in
 * nowhere. Nobody is kept out where nobody calls, as in a job.
 */
export const keptOutBy = (
  security: Security | null,
  { actor, address }: Caller,
  nowMs: number,
): Problem | undefined => {
  if (address === undefined) return undefined
  if (security?.ranges && !isInRanges(address() ?? '', security.ranges))
    return new Problem(
      'forbidden',
      'address-not-allowed',
      'The organization can be reached from certain addresses only, and this is none of them.',
      { setting: 'ipAllowList' },
    )
  const { session } = actor
  if (session === undefined) return undefined
  if (security?.requireMfa && !session.isMultiFactor)
    return new Problem(
      'forbidden',
      'mfa-required',
      'The organization asks for more than one factor; sign in with a second one.',
      { setting: 'requireMfa' },
    )
  if (isTooOld(session.sinceMs, security?.sessionTimeoutSeconds ?? null, nowMs))
    return new Problem('forbidden', 'session-expired', 'This sign-in is too old; sign in again.', {
      setting: 'sessionTimeoutSeconds',
    })
  return undefined
}

/** A token that does not say when it was made is too old where a timeout was chosen, and as old as it can be elsewhere. */
const isTooOld = (sinceMs: number | null, chosenSeconds: number | null, nowMs: number) =>
  sinceMs === null
    ? chosenSeconds !== null
    : nowMs - sinceMs > (chosenSeconds ?? SESSION_TIMEOUT_SECONDS) * 1000

const refused = (reason: string): Decision => ({ allowed: false, code: 'condition', reason })
const NO_ADDRESS = refused(
  'the organization allows certain addresses only, and context.ip names none',
)
const OTHER_ADDRESS = refused(
  'the organization allows certain addresses only, and context.ip is none of them',
)

const isMachine = (subject: string) => subject.startsWith('key:') || subject.startsWith('service:')

/**
 * Why the address of an end user, which the asking service passes on as `context.ip`, turns an allow into a deny. For people
 * an address that is not told is a wrong one; services and keys, which have no end user's address, are looked at when told.
 */
export const refusedAddress = (
  { ranges }: Security,
  {
    subject,
    context,
  }: { subject: string; context?: Readonly<Record<string, unknown>> | undefined },
): Decision | undefined => {
  if (ranges === null) return undefined
  const ip = context?.ip
  if (ip === undefined) return isMachine(subject) ? undefined : NO_ADDRESS
  if (typeof ip !== 'string') return NO_ADDRESS
  return isInRanges(ip, ranges) ? undefined : OTHER_ADDRESS
}
