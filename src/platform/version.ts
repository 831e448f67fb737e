import type { Context } from './context.ts'
import { Problem } from './problem.ts'

/**
 * Refuses a change that was made against another version than the stored one, or against one of what is gone (`If-Match`).
 * Race-free inside a change, which holds the organization's row.
 */
export const refuseStale = (
  { ifMatch }: Pick<Context, 'ifMatch'>,
  version: number | undefined,
): void => {
  if (ifMatch !== undefined && ifMatch !== version)
    throw new Problem('stale', 'version-stale', 'It was changed since it was read; read it again.')
}

/** The `ETag` of something that can be edited. */
export const etag = ({ version }: { version: number }) => ({ etag: `"${version}"` })
