import { findNestingFaults } from './nesting.ts'
import type { MemberPlan } from './plan-members.ts'
import { type Change, isFirst, lookUp, type Run } from './run.ts'
import type { ImportedTeam } from './schema.ts'
import { findMemberships, findTeams, type Membership, type StoredTeam } from './stored.ts'

const TEAMS_DEEP_MAX = 8

export type TeamPlan = {
  changes: Change<StoredTeam>[]
  /** Every team as it will be, by its slug. */
  known: ReadonlyMap<string, StoredTeam>
  /** Who is put into a team, with the place in the document. */
  joining: (Membership & { pointer: string })[]
}

/** What the document's teams come to. Listed members are added; who is not listed stays. */
export const planTeams = async (
  run: Run,
  entries: readonly ImportedTeam[],
  members: MemberPlan,
): Promise<TeamPlan> => {
  const stored = new Map(
    (await findTeams(run.tx, run.organizationId)).map((team) => [team.slug, team]),
  )
  const known = new Map(stored)
  const changes: Change<StoredTeam>[] = []
  const seen = new Map<string, number>()
  for (const [index, { slug, name, parent }] of entries.entries()) {
    await run.pace()
    if (!isFirst(run, seen, { key: slug, kind: 'teams', index })) continue
    const before = stored.get(slug)
    const after = {
      slug,
      name: name ?? before?.name ?? slug,
      parent: parent === undefined ? (before?.parent ?? null) : parent,
    }
    known.set(slug, after)
    const changed = before?.name !== after.name || before.parent !== after.parent
    changes.push({ index, before, after, changed })
  }
  refuseParents(run, known, changes)
  return { changes, known, joining: await planMemberships(run, entries, changes, members) }
}

const refuseParents = (
  { faults }: Run,
  known: ReadonlyMap<string, StoredTeam>,
  changes: readonly Change<StoredTeam>[],
) => {
  const parents = new Map(
    [...known.values()].map(({ slug, parent }) => [slug, parent === null ? [] : [parent]]),
  )
  const { cyclic, tooDeep } = findNestingFaults(parents, TEAMS_DEEP_MAX - 1)
  for (const { index, after, changed } of changes) {
    const pointer = `/teams/${index}/parent`
    if (after.parent !== null && !known.has(after.parent))
      faults.add(pointer, `There is no such team.${faults.suggestion(after.parent, known)}`)
    else if (cyclic.has(after.slug)) faults.add(pointer, 'It would sit inside itself.')
    else if (changed && tooDeep.has(after.slug))
      faults.add(pointer, `Teams would nest more than ${TEAMS_DEEP_MAX} deep.`)
  }
}

const planMemberships = async (
  run: Run,
  entries: readonly ImportedTeam[],
  changes: readonly Change<StoredTeam>[],
  members: MemberPlan,
) => {
  const wanted: TeamPlan['joining'] = []
  for (const { index, after } of changes) {
    const listed = new Set<string>()
    for (const [position, subject] of (entries[index]?.members ?? []).entries()) {
      await run.pace()
      const pointer = `/teams/${index}/members/${position}`
      if (!members.known.has(subject)) run.faults.add(pointer, 'Not a member of the organization.')
      else if (!listed.has(subject)) wanted.push({ team: after.slug, subject, pointer })
      listed.add(subject)
    }
  }
  const ofStored = new Set(changes.flatMap(({ before }) => before?.slug ?? []))
  const asked = wanted.filter(({ team }) => ofStored.has(team))
  const rows = await lookUp(run, asked, (slice) =>
    findMemberships(
      run.tx,
      run.organizationId,
      slice.map(({ team, subject }) => ({ team, subject })),
    ),
  )
  const sitting = new Set(rows.map(({ team, subject }) => `${team} ${subject}`))
  return wanted.filter(({ team, subject }) => !sitting.has(`${team} ${subject}`))
}
