import { hasEvent, recordChange } from '../audit/service.ts'
import {
  ceilingOf,
  dependingOnAttributes,
  givenByRole,
  givenBySubject,
  refuseAboveCeiling,
  requireHeld,
  requireOwnership,
} from '../decisions/ceiling.ts'
import type { Actor, Ceiling, Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import type { Violations } from '../platform/db/violation.ts'
import { newId } from '../platform/id.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { resolveRole } from '../roles/service.ts'
import type { MemberRow } from './repository.ts'
import * as repository from './repository.ts'
import type { ListMembers, PatchMember, PutMember, StoredMember } from './schema.ts'

/** What the database refuses about members. */
export const memberViolations: Violations = {
  members_can_ask: [
    'unprocessable',
    'subject-not-a-member',
    'Teams, roles and keys cannot be members.',
  ],
  members_owner_does_not_expire: [
    'unprocessable',
    'owner-expires',
    'Ownership never expires.',
    '/expiresAt',
  ],
  members_attributes_form: [
    'unprocessable',
    'attributes-too-large',
    'The attributes are too large.',
    '/attributes',
  ],
}

const shown = ({ isOwner: _isOwner, ...member }: MemberRow): StoredMember => member

const notFound = () => new Problem('not-found', 'member-not-found', 'There is no such member.')

/** Members: who belongs to an organization. Belonging permits nothing; the roles they are given do. */
export const listMembers = (context: Context, { limit, cursor, ...filter }: ListMembers) =>
  inOrganization(context, async (tx, organizationId) => {
    const range = { organizationId, ...filter, after: positionOf(cursor), limit: limit + 1 }
    const page = toPage(await repository.listMembers(tx, range), limit, ({ subject }) => subject)
    return { ...page, items: page.items.map(shown) }
  })

export const getMember = (context: Context, { user }: { user: string }) =>
  inOrganization(context, async (tx, organizationId) => {
    const member = await repository.findMember(tx, organizationId, user)
    if (!member) throw notFound()
    return shown(member)
  })

/** Makes somebody a member with exactly these roles, or sets the roles of one who is. */
export const putMember = (context: Context, { user, ...input }: PutMember) =>
  changeOrganization(context, (tx, organizationId) =>
    setMember(context, tx, { organizationId, user, ...input }),
  )

/** Changes what is named and leaves the rest. */
export const patchMember = (context: Context, { user, ...input }: PatchMember) =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = await repository.findMember(tx, organizationId, user)
    if (!before) throw notFound()
    const { roles = before.roles, ...rest } = input
    const { member } = await setMember(context, tx, { organizationId, user, roles, ...rest })
    return member
  })

type Wanted = PutMember & { organizationId: string }

const setMember = async (context: Context, tx: Transaction, wanted: Wanted) => {
  const { organizationId, user } = wanted
  const ceiling = await ceilingOf(context, tx)
  const [before, named] = await Promise.all([
    repository.findMember(tx, organizationId, user),
    resolveAll(tx, organizationId, wanted.roles),
  ])
  requireHeld(ceiling, before ? 'org:member:role:update' : 'org:member:invite', organizationId)
  refuseStale(context, before?.version)
  const isOwner = wanted.roles.includes('owner')
  if (isOwner || before?.isOwner) requireOwnershipForChange(ceiling, before, wanted)
  const expiresAt = wanted.expiresAt === undefined ? (before?.expiresAt ?? null) : wanted.expiresAt
  refusePast(context, wanted.expiresAt)
  const status = wanted.status ?? before?.status ?? 'active'

  const had = before?.roles ?? []
  const added = named.filter(({ role }) => !had.includes(role.name))
  const ending = had.filter((name) => !wanted.roles.includes(name))
  const removed = ending.length > 0 ? await resolveAll(tx, organizationId, ending) : []
  const given = await Promise.all(
    added.map(({ role }) =>
      givenByRole(tx, [role.home, role.scope, role.name], { organizationId }),
    ),
  )
  for (const [index, { pointer }] of added.entries())
    refuseAboveCeiling(ceiling, given[index]!, pointer)
  if (before && isRestored(before, status, expiresAt))
    refuseAboveCeiling(ceiling, await givenBySubject(tx, organizationId, user), '/status')

  const place = { organizationId, workspaceId: null, subject: user }
  const attributes = wanted.attributes ?? before?.attributes ?? {}
  const isOtherwise = JSON.stringify(attributes) !== JSON.stringify(before?.attributes ?? {})
  const row = { organizationId, subject: user, isOwner, status, attributes, expiresAt }
  // Sent one behind the other, without waiting for each answer.
  const upserted = repository.upsertMember(tx, row)
  const roles = Promise.all([
    ...added.map(({ role }) => giveRole(context, tx, { ...place, role })),
    ...removed.map(({ role }) => takeRole(tx, { ...place, role })),
  ])
  const found = repository.findMember(tx, organizationId, user)
  const [created, after] = await Promise.all([upserted, found, roles])
  if (isOtherwise)
    refuseAboveCeiling(
      ceiling,
      await dependingOnAttributes(tx, organizationId, user),
      '/attributes',
    )

  const member = shown(after!)
  await recordChange(tx, context, {
    event: created ? 'member.created' : 'member.updated',
    resource: `member:${user}`,
    subject: user,
    ...(before ? { before: shown(before) } : {}),
    after: member,
  })
  return { created, member }
}

/** Only an owner touches an owner, and makes one. */
const requireOwnershipForChange = (
  ceiling: Ceiling,
  before: MemberRow | undefined,
  wanted: Wanted,
) => {
  const unchanged =
    before?.isOwner === wanted.roles.includes('owner') &&
    (wanted.status ?? before.status) === before.status
  if (!unchanged) requireOwnership(ceiling)
}

/** Lifting a suspension or moving an end gives back everything the member holds. */
const isRestored = (before: MemberRow, status: string, expiresAt: string | null) =>
  (before.status === 'suspended' && status === 'active') ||
  (before.expiresAt !== null && (expiresAt === null || expiresAt > before.expiresAt))

const refusePast = (context: Context, expiresAt: string | null | undefined) => {
  if (expiresAt && Date.parse(expiresAt) <= context.now().getTime())
    throw unprocessable('expiry-past', '/expiresAt', 'expiresAt is in the past.')
}

/** The named roles; ownership is a flag, so it is none of them. */
const resolveAll = (tx: Transaction, organizationId: string, names: readonly string[]) =>
  Promise.all(
    names
      .map((name, index) => ({ name, pointer: `/roles/${index}` }))
      .filter(({ name }) => name !== 'owner')
      .map(async ({ name, pointer }) => ({
        pointer,
        role: await resolveRole(tx, organizationId, { name, inWorkspace: false, pointer }),
      })),
  )

/** Ends a membership with its grants, teams and personal keys. */
export const deleteMember = (context: Context, { user }: { user: string }) =>
  changeOrganization(
    context,
    (tx, organizationId) => removeMember(context, tx, organizationId, user),
    { shrinks: true },
  )

/** Leaves an organization: everybody may, but not the last owner, nor who is suspended. */
export const leaveOrganization = (context: Context) =>
  changeOrganization(
    context,
    async (tx, organizationId) => {
      const { subject, restrictedTo } = context.actor
      const member = await repository.findMember(tx, organizationId, subject)
      if (!member || restrictedTo !== null) throw notFound()
      // Whoever may go and come back would leave the suspension behind.
      if (member.status === 'suspended')
        throw new Problem(
          'conflict',
          'member-suspended',
          'A suspended member cannot leave; ask an administrator to end the membership.',
        )
      await endMembership(context, tx, organizationId, member)
    },
    { allowedWhile: ['active', 'read_only'] },
  )

const removeMember = async (
  context: Context,
  tx: Transaction,
  organizationId: string,
  user: string,
) => {
  const ceiling = await ceilingOf(context, tx)
  const member = await repository.findMember(tx, organizationId, user)
  if (!member) throw notFound()
  refuseStale(context, member.version)
  if (member.isOwner) requireOwnership(ceiling)
  await endMembership(context, tx, organizationId, member)
}

const endMembership = async (
  context: Context,
  tx: Transaction,
  organizationId: string,
  member: MemberRow,
) => {
  await repository.deleteMember(tx, organizationId, member.subject)
  await recordChange(tx, context, {
    event: 'member.deleted',
    resource: `member:${member.subject}`,
    subject: member.subject,
    before: shown(member),
  })
}

/** @throws Problem 422 for somebody who is not a member of the organization */
export const requireMember = async (tx: Transaction, organizationId: string, user: string) => {
  const member = await repository.findMember(tx, organizationId, user)
  if (!member) throw unprocessable('member-unknown', '/user', 'Not a member of the organization.')
}

/** A membership with its flag, or nothing. */
export const findMembership = (tx: Transaction, organizationId: string, subject: string) =>
  repository.findMember(tx, organizationId, subject)

/** Whether a membership counts at this moment. */
export const isActive = ({ status, expiresAt }: MemberRow, nowMs: number): boolean =>
  status === 'active' && (expiresAt === null || Date.parse(expiresAt) > nowMs)

type Moved = {
  organizationId: string
  from: string
  to: string
  /** What the former owner gets, besides the roles it has. */
  role: { home: string; scope: string; name: string } | null
}

/** Moves the flag of ownership from one member to another. Ceiling and consent are the caller's to keep. */
export const moveOwnership = async (context: Context, tx: Transaction, moved: Moved) => {
  const { organizationId, from, to, role } = moved
  const before = new Map<string, StoredMember>()
  for (const subject of [from, to])
    before.set(subject, shown((await repository.findMember(tx, organizationId, subject))!))
  await repository.makeOwner(tx, organizationId, to)
  await repository.endOwnership(tx, organizationId, from)
  const giver = { ...context, actor: { ...context.actor, subject: from } }
  if (role) await giveRole(giver, tx, { organizationId, workspaceId: null, subject: from, role })
  for (const subject of [to, from])
    await recordChange(tx, context, {
      event: 'member.updated',
      resource: `member:${subject}`,
      subject,
      before: before.get(subject)!,
      after: shown((await repository.findMember(tx, organizationId, subject))!),
    })
}

type Admitted = {
  organizationId: string
  subject: string
  isOwner: boolean
  source: 'invitation' | 'domain'
  /** Who gives the roles: not the one who is let in. */
  giver: Actor
  /** Roles that are added; what a member holds already stays. */
  roles: readonly Omit<RoleAt, 'organizationId' | 'subject'>[]
}

/**
 * Lets somebody in with roles; nothing is taken from one who is a member already. Whoever lets them in keeps the ceiling.
 * @throws Problem 409 for a suspended member: being let in lifts no suspension
 */
export const admitMember = async (context: Context, tx: Transaction, admitted: Admitted) => {
  const { organizationId, subject, isOwner, source } = admitted
  const before = await repository.findMember(tx, organizationId, subject)
  if (before?.status === 'suspended')
    throw new Problem('conflict', 'member-suspended', 'The member is suspended.')
  await repository.insertMember(tx, { organizationId, subject, isOwner, source })
  if (isOwner) await repository.makeOwner(tx, organizationId, subject)
  const giver = { ...context, actor: admitted.giver }
  for (const each of admitted.roles) await giveRole(giver, tx, { organizationId, subject, ...each })
  const member = shown((await repository.findMember(tx, organizationId, subject))!)
  await recordChange(tx, context, {
    event: before ? 'member.updated' : 'member.created',
    resource: `member:${subject}`,
    subject,
    ...(before ? { before: shown(before) } : {}),
    after: member,
  })
  return member
}

type RoleAt = {
  organizationId: string
  workspaceId: string | null
  subject: string
  role: { home: string; scope: string; name: string }
}

/** Gives a role by membership, in the organization or in one workspace. The ceiling is the caller's to keep. */
export const giveRole = ({ actor }: Context, tx: Transaction, held: RoleAt) =>
  repository.insertRole(tx, { ...held, id: newId('grt'), grantedBy: actor.subject })

/** Takes a role that was given by membership. */
export const takeRole = (tx: Transaction, held: RoleAt) => repository.deleteRole(tx, held)

/** Whether somebody was a member once, whatever ended it. */
export const wasMember = (tx: Transaction, organizationId: string, subject: string) =>
  hasEvent(tx, { log: organizationId, resource: `member:${subject}`, event: 'member.deleted' })
