import type { Context } from '../context.ts'
import type { Loaded } from './entry.ts'
import type { Answer } from './namespace-cache.ts'
import type { NamespaceName } from './namespaces.ts'
import type { Question } from './question.ts'

/** Whose value is asked for, over which connection, kept where. */
type Asker = Pick<Context, 'sql' | 'organizationId' | 'caches' | 'waitUntil'>

/**
 * A value of the caller's organization from the caches, else from the source. Where there are no caches, as in a job, always
 * from the source. The signal tells the loader that nobody waits for it any more. Never called inside a transaction: the caches read over a connection of their own.
 * @throws what the loader throws; nothing of that is kept
 */
export const remembered = async <Value>(
  { sql, organizationId, caches, waitUntil }: Asker,
  name: NamespaceName,
  about: Pick<Question, 'key' | 'revision' | 'platformRevision'>,
  load: (signal?: AbortSignal) => Promise<Loaded<Value>>,
): Promise<Pick<Answer<Value>, 'value' | 'isStale'>> => {
  if (!caches) return { value: (await load()).value, isStale: false }
  const asker = { sql, organizationId, ...(waitUntil ? { waitUntil } : {}) }
  return caches.namespace(name).get({ ...about, ...asker }, load)
}
