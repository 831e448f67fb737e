import { recordChange } from '../audit/service.ts'
import { ceilingOf, givenByRole, refuseAboveCeiling } from '../decisions/ceiling.ts'
import type { Ceiling, Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import type { Violations } from '../platform/db/violation.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { resolveRole } from '../roles/service.ts'
import { requireDomain, shown } from './claim.ts'
import { faultOf } from './name.ts'
import * as repository from './repository.ts'
import type { ClaimDomain, Domain, ListDomains, OneDomain, PatchDomain } from './schema.ts'

export { joinByDomain, listSuggestions } from './join.ts'
export { recheckDomains, verifyDomain } from './verify.ts'

/** What the database refuses about domains. */
export const domainViolations: Violations = {
  domains_one_verified_owner: [
    'conflict',
    'domain-taken',
    'Another organization has proven this domain; its proof counts until it is gone.',
  ],
  domains_enrollment_needs_proof: [
    'conflict',
    'domain-unproven',
    'Prove the domain first.',
    '/enrollment',
  ],
}

/** Domains one organization may claim. */
const DOMAINS_MAX = 100
const TOKEN_BYTES = 16

const FAULTS = {
  malformed: 'This is no domain.',
  'public-suffix': 'Everybody can register below this domain.',
  'public-mail': 'Everybody can have an address in this domain.',
}

/** Domains of e-mail addresses: claimed, proven by a TXT record, and then a way in for people with such an address. */
export const claimDomain = (context: Context, { domain }: ClaimDomain): Promise<Domain> =>
  changeOrganization(context, async (tx, organizationId) => {
    const fault = faultOf(domain)
    if (fault) throw unprocessable('domain-not-claimable', '/domain', FAULTS[fault])
    if ((await repository.countDomains(tx, organizationId)) >= DOMAINS_MAX)
      throw new Problem('conflict', 'domains-limit', `There may be ${DOMAINS_MAX} domains at most.`)
    const txtToken = [...crypto.getRandomValues(new Uint8Array(TOKEN_BYTES))]
      .map((byte) => byte.toString(16).padStart(2, '0'))
      .join('')
    const row = await repository.insertDomain(tx, { organizationId, domain, txtToken })
    if (!row) throw new Problem('conflict', 'domain-exists', 'The domain is claimed already.')
    const after = shown(row)
    await recordChange(tx, context, {
      event: 'domain.created',
      resource: `domain:${domain}`,
      after,
    })
    return after
  })

export const listDomains = (context: Context, { limit, cursor }: ListDomains) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { organizationId, after: positionOf(cursor), limit: limit + 1 }
    const rows = await repository.listDomains(tx, range)
    return toPage(rows.map(shown), limit, ({ domain }) => domain)
  })

export const getDomain = (context: Context, one: OneDomain) =>
  inOrganization(context, async (tx) =>
    shown(await requireDomain({ ...context, ifMatch: undefined }, tx, one)),
  )

/**
 * Chooses how people with an address of the domain come in. Who chooses gives the role, so the ceiling is theirs; more than
 * the role `member` holds is given by owners only.
 */
export const patchDomain = (
  context: Context,
  { domain, enrollment, role }: PatchDomain,
): Promise<Domain> =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = await requireDomain(context, tx, { domain })
    if (enrollment === undefined && role === undefined) return shown(before)
    const ceiling = await ceilingOf(context, tx)
    const name = role ?? before.roleName ?? 'member'
    const given = await requireGivable(tx, ceiling, organizationId, name)
    const row = await repository.updateEnrollment(tx, {
      organizationId,
      domain,
      enrollment: enrollment ?? before.enrollment,
      role: given,
      enroller: { ...context.actor, verifiedEmail: undefined, session: undefined },
    })
    const [resource, after] = [`domain:${domain}`, shown(row)]
    await recordChange(tx, context, {
      event: 'domain.updated',
      resource,
      before: shown(before),
      after,
    })
    return after
  })

const requireGivable = async (
  tx: Transaction,
  ceiling: Ceiling,
  organizationId: string,
  name: string,
) => {
  const pointer = '/role'
  if (name === 'owner')
    throw unprocessable('role-unknown', pointer, 'Ownership is given to persons, not to domains.')
  const role = await resolveRole(tx, organizationId, { name, inWorkspace: false, pointer })
  const given = await givenByRole(tx, [role.home, role.scope, role.name], { organizationId })
  refuseAboveCeiling(ceiling, given, pointer)
  if (!ceiling.mayGiveOwnership) {
    const member = await givenByRole(tx, ['platform', 'organization', 'member'], { organizationId })
    const usual = new Set(member.map(({ permission, condition }) => `${permission} ${condition}`))
    if (given.some(({ permission, condition }) => !usual.has(`${permission} ${condition}`)))
      throw new Problem(
        'forbidden',
        'owner-required-for-role',
        'Only an owner lets people of a domain in with more than the role member holds.',
        { errors: [{ pointer, detail: 'gives more than the role member' }] },
      )
  }
  return role
}

/** Gives a domain up. Who came in by it stays. */
export const deleteDomain = (context: Context, one: OneDomain) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const before = await requireDomain(context, tx, one)
      await repository.deleteDomain(tx, { organizationId, ...one })
      await recordChange(tx, context, {
        event: 'domain.deleted',
        resource: `domain:${one.domain}`,
        before: shown(before),
      })
    },
    { shrinks: true },
  )
