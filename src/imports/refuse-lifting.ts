import { deniedToSubject, isDenied } from '../decisions/ceiling.ts'
import type { Ceiling } from '../platform/context.ts'
import type { Plan } from './plan.ts'
import { givenBy, roleId } from './role-graph.ts'
import type { Run } from './run.ts'

const LIFTS = 'so you cannot lift its denial.'

/**
 * Notes what would end a denial that the actor could not end: a team that leaves a denied parent, and a denied role that
 * loses permissions. The end of a denial gives something, too.
 */
export const refuseLifting = async (run: Run, ceiling: Ceiling, plan: Plan): Promise<void> => {
  await refuseLeavingParents(run, ceiling, plan)
  await refuseShrinkingRoles(run, ceiling, plan)
}

const refuseLeavingParents = async (run: Run, ceiling: Ceiling, { teams }: Plan) => {
  for (const { index, before, after } of teams.changes) {
    if (!before?.parent || before.parent === after.parent) continue
    const denied = await deniedToSubject(run.tx, run.organizationId, `team:${before.parent}`)
    ceiling.reads(denied)
    const missing = denied.find((each) => !ceiling.holds(each))
    if (missing)
      run.faults.add(
        `/teams/${index}/parent`,
        `You do not hold ${missing.permission} there, ${LIFTS}`,
      )
  }
}

const refuseShrinkingRoles = async (run: Run, ceiling: Ceiling, { roles }: Plan) => {
  const { organizationId } = run
  for (const { index, before, after, changed } of roles.changes) {
    if (!before || !changed) continue
    if (!(await isDenied(run.tx, organizationId, [organizationId, after.scope, after.name])))
      continue
    const kept = givenBy(roles.after, run.permissions, roleId(after))
    const taken = [...givenBy(roles.before, run.permissions, roleId(after))].filter(
      ([key]) => !kept.has(key),
    )
    const missing = taken.find(
      ([, { permission }]) =>
        !ceiling.holds({ permission, condition: null, place: { organizationId } }),
    )
    if (missing)
      run.faults.add(
        `/roles/${index}/permissions`,
        `You do not hold ${missing[1].permission} there, ${LIFTS}`,
      )
  }
}
