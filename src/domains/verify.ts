import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import { changeOrganization, inOrganization, inPlatform } from '../platform/db/transaction.ts'
import { DnsUnavailable, type ResolveTxt } from '../platform/dns.ts'
import { Problem } from '../platform/problem.ts'
import { recordOf, requireDomain, shown } from './claim.ts'
import type { DomainRow } from './repository.ts'
import * as repository from './repository.ts'
import type { Domain, OneDomain } from './schema.ts'

/** Milliseconds one look may take in all. */
const LOOK_MS = 8000
/** Looks that may fail, a day apart, before a domain lapses. */
const FAILURES_MAX = 3
/** Hours between two looks of the job, which comes every hour. */
const HOURS_BETWEEN = 23
/** Domains looked at in one run. */
const CHECKED_MAX = 500

/** Whether the proof stands in the DNS. @throws DnsUnavailable */
const isProven = async (resolveTxt: ResolveTxt, row: DomainRow, signal: AbortSignal) => {
  const { name, value } = recordOf(row)
  const texts = await resolveTxt(name, signal)
  return texts.some((text) => text.trim() === value)
}

/**
 * Looks for the proof, and makes the domain the organization's own. The DNS is asked outside of any transaction; what is
 * written is tied to the token that was looked for. Of two organizations that prove one domain at once, one gets it.
 */
export const verifyDomain = async (
  context: Context,
  resolveTxt: ResolveTxt,
  one: OneDomain,
): Promise<Domain> => {
  const claim = await inOrganization(context, (tx) => requireDomain(context, tx, one))
  const found = await isProven(resolveTxt, claim, AbortSignal.timeout(LOOK_MS)).catch(
    (error: unknown) => {
      context.log.debug({ err: error }, 'the DNS did not answer')
      throw new Problem(
        'unavailable',
        'dns-unavailable',
        'The DNS could not be asked just now; try again.',
      )
    },
  )
  if (!found) {
    const { name } = recordOf(claim)
    throw new Problem(
      'conflict',
      'domain-unproven',
      `There is no TXT record ${name} with the value of this claim (yet); the DNS may keep an old answer for a while.`,
      { record: recordOf(claim) },
    )
  }
  return changeOrganization(context, async (tx, organizationId) => {
    const { txtToken } = claim
    const before = await requireDomain({ ...context, ifMatch: undefined }, tx, one)
    const row = await repository.verifyDomain(tx, { organizationId, ...one, txtToken })
    if (!row)
      throw new Problem('conflict', 'domain-claimed-anew', 'The claim was made anew meanwhile.')
    const after = shown(row)
    await recordChange(tx, context, {
      event: 'domain.verified',
      resource: `domain:${one.domain}`,
      before: shown(before),
      after,
    })
    return after
  })
}

/** Looks at verified domains again. What fails three times, a day apart, has lapsed. */
export const recheckDomains = async (
  context: Context,
  resolveTxt: ResolveTxt,
  signal: AbortSignal,
): Promise<{ checked: number; lapsed: number }> => {
  const due = await inPlatform(context.sql, (tx) =>
    repository.findUnchecked(tx, { hours: HOURS_BETWEEN, limit: CHECKED_MAX }),
  )
  let lapsed = 0
  for (const row of due) {
    signal.throwIfAborted()
    const isFound = await isProven(
      resolveTxt,
      row,
      AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]),
    ).catch((error: unknown) => {
      signal.throwIfAborted()
      if (!(error instanceof DnsUnavailable) && !isTimeout(error)) throw error
      // A domain nobody can resolve for days is as little proven as one without the record.
      return false
    })
    lapsed += await note({ ...context, organizationId: row.organizationId }, row, isFound)
  }
  return { checked: due.length, lapsed }
}

const isTimeout = (error: unknown) => error instanceof Error && error.name === 'TimeoutError'

const note = (context: Context, { domain, txtToken }: DomainRow, isFound: boolean) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const look = { organizationId, domain, txtToken, isFound }
      const checked = await repository.noteCheck(tx, look)
      if (!checked || checked.failures < FAILURES_MAX) return 0
      const after = await repository.lapseDomain(tx, { organizationId, domain })
      await recordChange(tx, context, {
        event: 'domain.lapsed',
        resource: `domain:${domain}`,
        before: shown(checked),
        after: shown(after!),
      })
      return 1
    },
    { allowedWhile: ['active', 'read_only'] },
  ).catch((error: unknown) => {
    // The organization was closed since the list was read.
    if (error instanceof Problem) return 0
    throw error
  })
