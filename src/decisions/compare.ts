import type { Engine } from '../engine/engine.ts'
import type { Line } from '../engine/line.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { Problem } from '../platform/problem.ts'
import { decide } from './decide.ts'
import { linesOfOrganization } from './lines.ts'
import type { PlatformState } from './policies.ts'
import { readWhole } from './read-whole.ts'
import { compileOrganization, type OrganizationState, type WholeState } from './state.ts'

/** An organization as one transaction sees it, its own changes included. Kept nowhere: it may never be committed. */
export type Seen = { readonly state: WholeState; readonly lines: readonly Line[] }

/** What a subject may do somewhere: it may, it may under a condition that does not hold now, or it may not. */
export type Standing = 'allowed' | 'condition' | 'denied'

/** One permission of one subject that a change gives or takes. */
export type Difference = {
  readonly subject: string
  readonly permission: string
  readonly workspaceId: string | null
  readonly resource: { readonly type: string; readonly id: string } | null
  readonly before: Standing
  readonly after: Standing
}

/** Reads and compiles the organization as the transaction sees it. @throws Problem 404; 409 for one that is too large here */
export const seeOrganization = async (
  engine: Engine,
  tx: Queryable,
  organizationId: string,
  { platform, rowsMax }: { platform: PlatformState; rowsMax: number | undefined },
): Promise<Seen> => {
  const rows = await readWhole(tx, organizationId, rowsMax)
  if (!rows)
    throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
  return {
    state: await compileOrganization(engine, rows, platform),
    lines: [...linesOfOrganization(rows, platform.roles)],
  }
}

const isAsker = (subject: string) => !subject.startsWith('role:') && !subject.startsWith('team:')

/** Lines that stand in one and not in the other. */
const changedLines = (before: readonly Line[], after: readonly Line[]): Line[] => {
  const byText = (lines: readonly Line[]) =>
    new Map(lines.map((line) => [JSON.stringify(line), line]))
  const [old, fresh] = [byText(before), byText(after)]
  return [
    ...[...old].filter(([text]) => !fresh.has(text)),
    ...[...fresh].filter(([text]) => !old.has(text)),
  ].map(([, line]) => line)
}

/** Who holds what: the subjects directly below each role and team. */
const holdersOf = (lines: readonly Line[]) => {
  const holders = new Map<string, Set<string>>()
  for (const line of lines)
    if (line.kind === 'role') {
      const known = holders.get(line.holds)
      if (known) known.add(line.subject)
      else holders.set(line.holds, new Set([line.subject]))
    }
  return holders
}

/** A place or a resource at which the standing may have changed. */
type Spot = { workspaceId: string | null; resource: { type: string; id: string } | null }

const spotOf = ({ place, ...line }: Line): Spot => ({
  workspaceId: place.kind === 'workspace' ? place.workspaceId : null,
  resource:
    line.kind === 'role'
      ? line.resource
      : line.object.kind === 'resource'
        ? { type: line.object.type, id: line.object.id }
        : null,
})

/** Everybody whom changed lines and changed memberships can reach, with the spots to look at. */
const reached = (before: Seen, after: Seen): Map<string, Spot[]> => {
  const spots = new Map<string, Map<string, Spot>>()
  const add = (subject: string, spot: Spot) => {
    const known = spots.get(subject) ?? new Map<string, Spot>()
    spots.set(subject, known.set(JSON.stringify(spot), spot))
  }
  const holders = [holdersOf(before.lines), holdersOf(after.lines)]
  const spread = (subject: string, spot: Spot, seen: Set<string>) => {
    if (seen.has(subject)) return
    seen.add(subject)
    if (isAsker(subject)) add(subject, spot)
    for (const each of holders)
      for (const holder of each.get(subject) ?? []) spread(holder, spot, seen)
  }
  for (const line of changedLines(before.lines, after.lines))
    spread(line.subject, spotOf(line), new Set())
  const members = new Set([...before.state.members.keys(), ...after.state.members.keys()])
  for (const subject of members) {
    const facts = [before.state.members.get(subject), after.state.members.get(subject)]
    if (JSON.stringify(facts[0]) === JSON.stringify(facts[1])) continue
    add(subject, { workspaceId: null, resource: null })
    for (const line of [...before.lines, ...after.lines])
      if (line.subject === subject) add(subject, spotOf(line))
  }
  return new Map([...spots].map(([subject, each]) => [subject, [...each.values()]]))
}

const standingOf = (
  engine: Engine,
  state: OrganizationState,
  at: { subject: string; permission: string; spot: Spot },
  nowMs: number,
): Standing => {
  const { subject, permission, spot } = at
  const ask = {
    subject,
    permission,
    resourceId: spot.resource?.id ?? null,
    workspaceId: spot.workspaceId,
  }
  const { allowed, code } = decide(engine, state, ask, nowMs)
  return allowed ? 'allowed' : code === 'condition' ? 'condition' : 'denied'
}

/** Subjects that are compared; beyond, the answer says that it is not complete. */
const SUBJECTS_MAX = 2000

/**
 * Who gains and who loses what between two sights of an organization: every subject that a changed line or membership can
 * reach, through roles and teams, is asked about every permission where the change was made.
 */
export const compare = (
  engine: Engine,
  before: Seen,
  after: Seen,
  nowMs: number,
): { differences: Difference[]; complete: boolean } => {
  const differences: Difference[] = []
  const everybody = [...reached(before, after)].sort(([left], [right]) => (left < right ? -1 : 1))
  const permissions = [...after.state.platform.permissions.keys()]
  for (const [subject, spots] of everybody.slice(0, SUBJECTS_MAX))
    for (const spot of spots)
      for (const permission of permissions) {
        if (spot.resource && !permission.startsWith(`${spot.resource.type}:`)) continue
        const at = { subject, permission, spot }
        const [was, is] = [
          standingOf(engine, before.state, at, nowMs),
          standingOf(engine, after.state, at, nowMs),
        ]
        if (was !== is) differences.push({ subject, permission, ...spot, before: was, after: is })
      }
  return { differences, complete: everybody.length <= SUBJECTS_MAX }
}
