import { remembered } from '../platform/cache/remembered.ts'
import type { Context } from '../platform/context.ts'

/** Whose what everybody sees is. */
const NOBODY = 'platform'

/**
 * What the catalog shows to everybody alike, kept until something that is listed changes: the database raises the generation of
 * the namespace in the transaction of the change (migrations/0032_create_catalog.sql). Nothing that depends on who asks is kept.
 * @param asked everything that the value depends on besides the catalog
 */
export const kept = async <Value>(
  context: Context,
  asked: readonly unknown[],
  load: () => Promise<Value>,
): Promise<Value> => {
  const about = { key: JSON.stringify(asked), revision: 0 }
  const asker = { ...context, organizationId: NOBODY }
  const { value } = await remembered(asker, 'marketplace', about, async () => ({
    value: await load(),
    revision: 0,
  }))
  return value
}
