import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import { tell } from './made.ts'
import { findUnwanted } from './policy.ts'
import * as repository from './repository.ts'
import type { Advisory } from './schema.ts'

/** Who quarantines where moderators blocked a version; else it is the id of an advisory. */
export const BY_MODERATORS = 'moderator'

/** Who keeps an installation from running, and why. */
export type Quarantine = { by: string; reason: string }

export const quarantineBy = ({ id, severity, summary }: Advisory): Quarantine => ({
  by: id,
  reason: `Advisory ${id} (${severity}): ${summary}`.slice(0, 280),
})

type Quarantined = {
  id: string
  organizationId: string
  workspaceId: string | null
  quarantinedBy: string | null
}

/**
 * Quarantines an installation, or lifts that (null), where it still is as it was seen.
 * @returns whether it was
 */
export const mark = async (
  context: Context,
  seen: Quarantined,
  next: Quarantine | null,
  said: { reason?: string } = {},
): Promise<boolean> => {
  const { organizationId } = seen
  const inside =
    context.organizationId === organizationId ? context : { ...context, organizationId }
  const isMarked = await changePlatform(inside, (tx) => markIn(tx, inside, seen, next, said))
  if (isMarked) context.access.changed(organizationId, inside.revision)
  return isMarked
}

const markIn = async (
  tx: Transaction,
  context: Context,
  { id, workspaceId, quarantinedBy: by }: Quarantined,
  next: Quarantine | null,
  said: { reason?: string },
) => {
  const after = next ?? { by: null, reason: null }
  const isMarked = await repository.setQuarantine(tx, { id, before: by, ...after })
  if (!isMarked) return false
  const told = {
    event: next ? 'installation.quarantined' : 'installation.released',
    ...{ before: { by }, after, ...said },
  }
  await tell(tx, context, { id, workspaceId }, told)
  return true
}

/** After the version of what is quarantined changed: the quarantine was of the other one. What is blocked stays closed. */
export const settleQuarantine = async (context: Context, id: string): Promise<void> => {
  const { organizationId, sql } = context
  const found = await inPlatform(sql, async (tx) => {
    const installation = (await repository.findInstallation(tx, organizationId, id))!
    const { quarantinedBy, versionId } = installation
    if (quarantinedBy === null) return undefined
    const { status } = await repository.findPublished(tx, versionId)
    if (quarantinedBy === BY_MODERATORS && status === 'blocked') return undefined
    return { installation, advisory: await findUnwanted(tx, installation) }
  })
  if (!found || found.installation.quarantinedBy === found.advisory?.id) return
  const { installation, advisory } = found
  await mark(context, installation, advisory ? quarantineBy(advisory) : null)
}
