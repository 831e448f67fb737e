import { recordChange } from '../audit/service.ts'
import { ceilingOf, givenByRole, refuseAboveCeiling } from '../decisions/ceiling.ts'
import { admitMember, findMembership, wasMember } from '../members/service.ts'
import { getOrganization } from '../organizations/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inPlatform } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import { domainOfAddress } from './name.ts'
import type { DomainRow } from './repository.ts'
import * as repository from './repository.ts'
import type { JoinByDomain, Joined, Suggestion } from './schema.ts'

/** The same for an organization that is not there, is closed, wants nobody, or wants others: nobody learns which. */
const nothingToJoin = () =>
  new Problem(
    'not-found',
    'nothing-to-join',
    'There is no organization of this name that people with your address may join.',
  )

/** The domain of a person's verified address. A key has none, not even a personal one. */
const domainOf = ({ actor }: Context): string | undefined =>
  actor.subject.startsWith('user:') && actor.apiKeyId === null && actor.verifiedEmail
    ? domainOfAddress(actor.verifiedEmail)
    : undefined

/** Organizations that people with the caller's address are told of. */
export const listSuggestions = async (
  context: Context,
): Promise<{ items: Suggestion[]; nextCursor: null }> => {
  const domain = domainOf(context)
  const items =
    domain === undefined
      ? []
      : await inPlatform(context.sql, (tx) =>
          repository.findSuggestions(tx, domain, context.actor.subject),
        )
  return { items: [...items], nextCursor: null }
}

/**
 * Joins with the role that was chosen for the domain, if whoever chose it still may give it. Who is a member already, a
 * suspended one too, gains nothing: what was taken from somebody does not come back by asking.
 */
export const joinByDomain = async (
  context: Context,
  { organization: reference }: JoinByDomain,
): Promise<Joined> => {
  const domain = domainOf(context)
  if (domain === undefined)
    throw new Problem(
      'forbidden',
      'verified-email-required',
      'Join with the token of a person whose e-mail address is verified.',
    )
  const organizationId = await inPlatform(context.sql, (tx) =>
    repository.findJoinable(tx, reference, domain),
  )
  if (organizationId === undefined) throw nothingToJoin()
  const within = { ...context, organizationId }
  const { subject } = context.actor
  const member = await changeOrganization(within, async (tx) => {
    const row = await repository.findDomain(tx, { organizationId, domain })
    if (row?.state !== 'verified' || row.enrollment !== 'auto_join' || !row.enroller)
      throw nothingToJoin()
    if (await findMembership(tx, organizationId, subject))
      throw new Problem('conflict', 'already-a-member', 'You are a member already.')
    // What was refused to somebody, or taken with the membership, does not end by going and coming back.
    if (await wasMember(tx, organizationId, subject))
      throw new Problem(
        'conflict',
        'former-member',
        'You were a member before; ask an administrator for an invitation.',
      )
    const roles = await rolesOf(within, tx, row)
    const joined = await admitMember(within, tx, {
      organizationId,
      subject,
      isOwner: false,
      source: 'domain',
      giver: row.enroller,
      roles,
    })
    await recordChange(tx, within, {
      event: 'domain.joined',
      resource: `domain:${domain}`,
      subject,
    })
    return joined
  })
  context.revision = within.revision
  const { id, slug, name } = await getOrganization(within)
  return {
    organization: { id, slug, name },
    member: { subject: member.subject, roles: member.roles },
  }
}

/** What joining gives now. Who chose it and lost the power since, or left, lets nobody in any more. */
const rolesOf = async (
  context: Context,
  tx: Transaction,
  { organizationId, enroller, roleHome, roleName }: DomainRow,
) => {
  if (roleHome === null || roleName === null) return []
  const role = { home: roleHome, scope: 'organization' as const, name: roleName }
  try {
    const ceiling = await ceilingOf({ ...context, actor: enroller! }, tx)
    const given = await givenByRole(tx, [role.home, role.scope, role.name], { organizationId })
    refuseAboveCeiling(ceiling, given)
  } catch (error) {
    if (error instanceof Problem && error.kind === 'forbidden') throw nothingToJoin()
    throw error
  }
  return [{ workspaceId: null, role }]
}
