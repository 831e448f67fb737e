import { type Change, isFirst, lookUp, type Run } from './run.ts'
import { isSameJson } from './same.ts'
import type { ImportDocument, ImportedMember } from './schema.ts'
import {
  findActiveOwners,
  findKeys,
  findMembers,
  findSubjects,
  type StoredMember,
} from './stored.ts'

export type MemberPlan = {
  changes: (Change<StoredMember> & { roles: readonly string[] | undefined })[]
  /** Everybody the document names who is a member, or will be one. */
  known: ReadonlySet<string>
  /** The API keys it names that are the organization's. */
  keys: ReadonlySet<string>
}

/** What the document's members come to; those that teams, workspaces and grants name are looked up, too. */
export const planMembers = async (run: Run, document: ImportDocument): Promise<MemberPlan> => {
  const { tx, organizationId } = run
  const entries = document.members
  const subjects = [...new Set(entries.map(({ user }) => user))]
  const rows = await lookUp(run, subjects, (slice) => findMembers(tx, organizationId, slice))
  const stored = new Map(rows.map((row) => [row.subject, row]))
  const changes: MemberPlan['changes'] = []
  const seen = new Map<string, number>()
  for (const [index, entry] of entries.entries()) {
    await run.pace()
    if (!isFirst(run, seen, { key: entry.user, kind: 'members', index })) continue
    const before = stored.get(entry.user)
    const after = memberOf(entry, before)
    refuseExpiry(run, entry, after, index)
    changes.push({ index, before, after, roles: entry.roles, changed: isChanged(before, after) })
  }
  await refuseLastOwner(run, changes)
  return { changes, ...(await findNamed(run, document, new Set(subjects))) }
}

/** Ownership is given by naming it and never taken by leaving it out: a list made elsewhere does not know of owners. */
const memberOf = (
  { user, roles, attributes, status, expiresAt }: ImportedMember,
  before: StoredMember | undefined,
): StoredMember => ({
  subject: user,
  isOwner: before?.isOwner === true || roles?.includes('owner') === true,
  status: status ?? before?.status ?? 'active',
  attributes: attributes ?? before?.attributes ?? {},
  expiresAt: expiresAt === undefined ? (before?.expiresAt ?? null) : expiresAt,
})

const isChanged = (before: StoredMember | undefined, after: StoredMember) =>
  before === undefined ||
  before.isOwner !== after.isOwner ||
  before.status !== after.status ||
  !isSameTime(before.expiresAt, after.expiresAt) ||
  !isSameJson(before.attributes, after.attributes)

/** Whether two ends are the same instant, or both none. */
export const isSameTime = (left: string | null, right: string | null) =>
  left === right || (left !== null && right !== null && Date.parse(left) === Date.parse(right))

const refuseExpiry = (
  { faults, nowMs }: Run,
  { expiresAt }: ImportedMember,
  after: StoredMember,
  index: number,
) => {
  const pointer = `/members/${index}/expiresAt`
  if (expiresAt && Date.parse(expiresAt) <= nowMs) faults.add(pointer, 'expiresAt is in the past.')
  if (after.isOwner && after.expiresAt !== null) faults.add(pointer, 'Ownership never expires.')
}

const refuseLastOwner = async (
  { tx, organizationId, faults }: Run,
  changes: readonly Change<StoredMember>[],
) => {
  const isActiveOwner = (member: StoredMember | undefined) =>
    member?.isOwner === true && member.status === 'active'
  const lost = changes.filter(({ before, after }) => isActiveOwner(before) && !isActiveOwner(after))
  if (lost.length === 0 || changes.some(({ after }) => isActiveOwner(after))) return
  const owners = await findActiveOwners(tx, organizationId)
  if (owners.length > lost.length) return
  for (const { index } of lost)
    faults.add(`/members/${index}`, 'An organization always has an active owner.')
}

/** Who of those that the document names elsewhere is a member already, and which keys it names. */
const findNamed = async (
  run: Run,
  { teams, workspaces, grants }: ImportDocument,
  listed: ReadonlySet<string>,
) => {
  const { tx, organizationId } = run
  const named = new Set<string>()
  const keys = new Set<string>()
  for (const { members } of teams) for (const subject of members ?? []) named.add(subject)
  for (const { members } of workspaces) for (const { user } of members ?? []) named.add(user)
  for (const { subject } of grants) {
    if (subject.startsWith('user:')) named.add(subject)
    if (subject.startsWith('key:')) keys.add(subject.slice('key:'.length))
  }
  const unlisted = [...named.difference(listed)]
  const found = await lookUp(run, unlisted, (slice) => findSubjects(tx, organizationId, slice))
  const foundKeys = await lookUp(run, [...keys], (slice) => findKeys(tx, organizationId, slice))
  return {
    known: new Set([...listed, ...found.map(({ subject }) => subject)]),
    keys: new Set(foundKeys.map(({ id }) => id)),
  }
}
