import type { Context } from '../platform/context.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import { type Recorded, writeEvent } from './event.ts'

type Refused = { code: string; permission: string | undefined }
type Counted = { untilMs: number; count: number; write: () => Promise<void> }

/** How long refusals of the same permission to the same actor are only counted. */
const WINDOW_MS = 60_000
/** Pairs of actor and permission that are counted at once. */
const COUNTED_MAX = 10_000

export type Denials = ReturnType<typeof createDenials>

/**
 * Leaves events of what is refused: the first at once, its repeats of a minute as one event with their count. Whoever is
 * refused does not wait for it, and learns nothing of its failure.
 */
export const createDenials = ({ windowMs = WINDOW_MS }: { windowMs?: number } = {}) => {
  const counted = new Map<string, Counted>()
  const writing = new Set<Promise<void>>()

  const write = (context: Context, refused: Refused, count: number): Promise<void> => {
    const { log, requestId } = context
    const written = recordDenial(context, { ...refused, count })
      .then(() => {})
      .catch((error: unknown) => log.warn({ requestId, err: error }, 'a refusal is not in the log'))
      .finally(() => writing.delete(written))
    writing.add(written)
    return written
  }

  /** Ends a window: what was counted in it is written. */
  const end = (key: string, ended: Counted): Promise<void> => {
    if (counted.get(key) === ended) counted.delete(key)
    return ended.count > 0 ? ended.write() : Promise.resolve()
  }

  const note = (context: Context, refused: Refused): void => {
    const nowMs = context.now().getTime()
    const { actor, organizationId } = context
    const key = [actor.subject, organizationId, refused.permission ?? refused.code].join('\u0000')
    const known = counted.get(key)
    if (known && nowMs < known.untilMs) {
      known.count++
      return
    }
    if (known) void end(key, known)
    if (counted.size >= COUNTED_MAX) {
      context.log.warn({ ...refused, actor: actor.subject }, 'a refusal is not in the log')
      return
    }
    const fresh: Counted = {
      untilMs: nowMs + windowMs,
      count: 0,
      write: () => write(context, refused, fresh.count),
    }
    counted.set(key, fresh)
    void write(context, refused, 1)
    const timer = setTimeout(() => void end(key, fresh), windowMs)
    // A timer may not keep the process; on Workers it is a number, and ends with its request.
    if (typeof timer === 'object') timer.unref()
  }

  /** Writes what is only counted so far, and waits for what is being written: before the database is let go. */
  const flush = async (): Promise<void> => {
    for (const [key, each] of counted) void end(key, each)
    await Promise.all(writing)
  }

  return { note, flush }
}

/** What was refused: a permission, or any access where nobody knows who asks; and how often since the last event. */
type Denial = { code: string; permission: string | undefined; count: number }

/** Leaves an event of what was refused to the context's actor, in the log of the organization it was refused in. */
const recordDenial = (
  context: Pick<Context, 'sql'> & Recorded,
  { code, permission, count }: Denial,
) =>
  inPlatform(context.sql, async (tx) => {
    const { written } = await writeEvent(tx, context, 'denied', {
      event: 'access.denied',
      resource: `access:${permission ?? code}`,
      reason: code,
      count,
    })
    await written
  })
