import type { Queryable } from './connect.ts'

/** How often something was tried in the window of now, this time included, and whole seconds until the window ends. */
export type Attempts = { used: number; secondsLeft: number }

/**
 * Counts one attempt. The first opens a window, whose end is the database's to tell, so that all nodes agree; beyond the
 * quota it stays at one more.
 * @param attempt.key 32 bytes that name what is counted
 * @param attempt.windowSeconds how long a window is that this attempt opens
 */
export const countAttempt = async (
  tx: Queryable,
  { key, quota, windowSeconds }: { key: Uint8Array; quota: number; windowSeconds: number },
): Promise<Attempts> => {
  const [counted] = await tx<Attempts[]>`
    insert into rate_limits as known (key, used, ends_at)
    values (${key}, 1, now() + ${windowSeconds} * interval '1 second')
    on conflict (key) do update set
      used = case when known.ends_at <= now() then 1 else least(known.used, ${quota}) + 1 end,
      ends_at = case when known.ends_at <= now() then excluded.ends_at else known.ends_at end
    returning used, greatest(1, ceil(extract(epoch from ends_at - now())))::int as seconds_left`
  return counted!
}
