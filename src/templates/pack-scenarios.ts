import { conditionHolds } from '../engine/condition.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { heldByRole, type RolePack, rolesOf } from './role-pack.ts'

/** The scenarios of a pack that do not come out as they should, by their place in the list. */
export const failingScenarios = async (
  tx: Transaction,
  organizationId: string,
  pack: RolePack,
): Promise<number[]> => {
  const [{ scenarios }, names] = [pack, rolesOf(pack)]
  const failing: number[] = []
  for (const [index, { given, ask, expect }] of scenarios.entries()) {
    const environment = {
      subject: { ...given.attributes, id: given.id, type: 'user' },
      resource: { ...ask.resource, type: ask.permission.slice(0, ask.permission.indexOf(':')) },
      action: { name: ask.permission.slice(ask.permission.indexOf(':') + 1) },
      context: ask.context,
      now: new Date(ask.now ?? 0),
    }
    let isAllowed = false
    for (const name of given.roles)
      for (const held of await heldByRole(tx, organizationId, names, name))
        isAllowed ||=
          held.permission === ask.permission &&
          conditionHolds(held.condition ?? 'true', 'allow', environment as never)
    if (isAllowed !== (expect === 'allow')) failing.push(index)
  }
  return failing
}
