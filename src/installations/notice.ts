import type { Context } from '../platform/context.ts'
import { changePlatform, inPlatform } from '../platform/db/transaction.ts'
import { Problem } from '../platform/problem.ts'
import { stepBetween } from '../templates/service.ts'
import { tell } from './made.ts'
import * as repository from './repository.ts'
import { previewUpdate, updateInstallation } from './update.ts'

const SOME = 200

type Behind = Awaited<ReturnType<typeof repository.listToNotice>>[number]

/** Whether an update is small enough to be made unasked. */
const isAutomatic = ({ updatePolicy, version, newest }: Behind): boolean => {
  const step = stepBetween(version, newest)
  return (
    (updatePolicy === 'patch' && step === 'patch') ||
    (updatePolicy === 'minor' && (step === 'patch' || step === 'minor'))
  )
}

/**
 * Tells organizations, once for each version, that something newer is there, and updates where they want that: unless it could do
 * more than was agreed to, needs an input, or both sides changed the same. Then somebody has to look.
 * @returns how many were told and how many were updated
 */
export const noticeUpdates = async (context: Context, signal: AbortSignal) => {
  const counted = { told: 0, updated: 0 }
  let after = ''
  for (;;) {
    const found = await inPlatform(context.sql, (tx) =>
      repository.listToNotice(tx, { after, limit: SOME }),
    )
    for (const behind of found) {
      signal.throwIfAborted()
      const inside = { ...context, organizationId: behind.organizationId }
      if (isAutomatic(behind) && (await tryUpdate(inside, behind))) counted.updated++
      else {
        await notice(inside, behind)
        counted.told++
      }
    }
    if (found.length < SOME) return counted
    after = found.at(-1)!.id
  }
}

const tryUpdate = async (context: Context, { id, newest }: Behind): Promise<boolean> => {
  try {
    const { capabilities, conflicts } = await previewUpdate(context, {
      installation: id,
      to: newest,
    })
    if (capabilities.added.length > 0 || conflicts.length > 0) return false
    await updateInstallation(context, { installation: id, to: newest, inputs: {}, resolutions: [] })
    return true
  } catch (error) {
    // Bought no more, denied by the policy, an input without a value: whoever looks is told why.
    if (error instanceof Problem && error.kind !== 'unavailable') return false
    throw error
  }
}

const notice = (context: Context, { id, version, newest, newestId, templateId }: Behind) =>
  changePlatform(context, async (tx) => {
    await repository.setNoticed(tx, id, newestId)
    await tell(
      tx,
      context,
      { id, workspaceId: null },
      {
        event: 'installation.update-available',
        after: { template: templateId, version, newest },
      },
    )
  })
