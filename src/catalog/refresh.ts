import { clearNamespace } from '../platform/cache/generations.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import * as repository from './refresh-repository.ts'

/** Templates that are written in one transaction: nobody who rates or installs one waits long. */
const BATCH = 2000
const PRUNED = 5000

/** Works out anew what the catalog is sorted by and which words are known, and forgets who was counted long ago. */
export const refreshCatalog = async ({ sql }: Context, signal: AbortSignal) => {
  const inPlatform = <Result>(work: (tx: Transaction) => Promise<Result>) =>
    sql.begin(async (tx) => {
      await tx`select set_config('role', 'latchkey_platform', true)`
      return work(tx)
    }) as Promise<Result>
  await inPlatform((tx) => repository.updateRatingMean(tx))
  const mostInstalls = await inPlatform((tx) => repository.findMostInstalls(tx))
  let [updated, after] = [0, '']
  while (!signal.aborted) {
    const moved = await inPlatform(async (tx) => {
      const rows = await repository.listAfter(tx, after, BATCH)
      const [from, to] = [rows[0]?.id, rows.at(-1)?.id]
      if (from === undefined || to === undefined) return undefined
      after = to
      return repository.updateFigures(tx, { from, to, mostInstalls })
    })
    if (moved === undefined) break
    updated += moved
  }
  const words = await inPlatform((tx) => repository.refreshWords(tx))
  let pruned = 0
  for (let deleted = PRUNED; deleted === PRUNED && !signal.aborted; pruned += deleted)
    deleted = await inPlatform((tx) => repository.deleteCounted(tx, PRUNED))
  // What is kept is in the order of before.
  if (updated > 0) await inPlatform((tx) => clearNamespace(tx, 'marketplace'))
  return { updated, words, pruned }
}
