import { createLasting, type Lasting, type OrganizationState } from '../decisions/service.ts'
import { remembered } from '../platform/cache/remembered.ts'
import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import * as repository from './repository.ts'

/** Milliseconds for which it is known what ends by itself, and so the longest that a page is kept. */
const AHEAD_MS = 60_000

/** A page, and of which revisions at least it is: those that were current when it was asked for. */
type Paged<Page> = Page & { revision: string }

/** As of when a page is found, what is noted about it, and whether anybody still waits for it. */
export type Finding = { nowMs: number; lasting: Lasting; signal: AbortSignal | undefined }

/**
 * A page that is asked for at the revisions of a policy that is current. Found anew, it is kept only where both revisions
 * still stood afterwards, so that all of it is of these; until a membership or a grant ends by itself; and not at all where a
 * condition looked at the clock.
 * @param asked everything that the page depends on besides the policy
 */
export const keptAt = async <Page>(
  context: Context,
  { revision, platform, token }: OrganizationState,
  asked: readonly unknown[],
  find: (about: Finding) => Promise<Page>,
): Promise<Paged<Page>> => {
  const at = { revision, platformRevision: platform.revision }
  const about = { ...at, key: JSON.stringify(asked) }
  const { value } = await remembered(context, 'decision', about, async (signal) => {
    const [nowMs, lasting] = [context.now().getTime(), createLasting()]
    const page: Paged<Page> = { ...(await find({ nowMs, lasting, signal })), revision: token }
    if (!lasting.isLasting) return { value: page, ...at, isStorable: false }
    const { organizationId } = context
    const span = { organizationId, afterMs: nowMs, untilMs: nowMs + AHEAD_MS }
    const { endsAtMs, ...now } = await inPlatform(context.sql, (tx) =>
      repository.findNextEnd(tx, span),
    )
    const isStorable = now.revision === at.revision && now.platformRevision === at.platformRevision
    const expiresAtMs = Math.min(lasting.untilMs, endsAtMs ?? span.untilMs)
    return { value: page, ...at, isStorable, expiresAtMs }
  })
  return value
}
