import { dependingOnAttributes } from '../decisions/ceiling.ts'
import type { Ceiling } from '../platform/context.ts'
import type { Plan } from './plan.ts'
import type { Run } from './run.ts'

/**
 * Refuses attributes that would give a member what the actor does not hold: asked once everything is written, because roles
 * and attributes may come with the same document. Owners hold whatever it could be.
 * @throws Problem 422 that names the members
 */
export const refuseAttributes = async (run: Run, ceiling: Ceiling, { members }: Plan) => {
  if (ceiling.mayGiveOwnership) return
  const { tx, organizationId, faults } = run
  for (const { index, before, after } of members.changes) {
    await run.pace()
    if (JSON.stringify(before?.attributes ?? {}) === JSON.stringify(after.attributes)) continue
    const depending = await dependingOnAttributes(tx, organizationId, after.subject)
    ceiling.reads(depending)
    const missing = depending.find((held) => !ceiling.holds({ condition: null, ...held }))
    if (missing)
      faults.add(
        `/members/${index}/attributes`,
        `You do not hold ${missing.permission} there, which these attributes may give.`,
      )
  }
  faults.refuse()
}
