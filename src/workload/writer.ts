import type { Sql } from '../platform/db/connect.ts'
import { inPlatform } from '../platform/db/transaction.ts'
import type { Log } from '../platform/log.ts'
import type { SqlParser } from '../platform/sql-parser.ts'
import { createQueryReader, type KnownQuery } from './read-query.ts'
import type { Measured, Recorder, SlowStatement } from './recorder.ts'
import * as repository from './write-repository.ts'

const FLUSH_MS = 60_000

const isKnown = <Item>(each: [Item, KnownQuery | undefined]): each is [Item, KnownQuery] =>
  each[1] !== undefined

/** Writes down what a process has measured, every minute, and a last time when it stops. */
export const createWorkloadWriter = (
  recorder: Recorder,
  { parser, log, now }: { parser: SqlParser; log: Log; now: () => Date },
) => {
  const read = createQueryReader(parser)
  let flushing: Promise<void> = Promise.resolve()

  const withQueries = async <Item extends { text: string }>(items: readonly Item[]) => {
    const all: [Item, KnownQuery | undefined][] = []
    for (const item of items) all.push([item, await read(item.text)])
    return all.filter(isKnown)
  }

  const put = async (sql: Sql, measured: readonly Measured[], slow: readonly SlowStatement[]) => {
    const known = await withQueries(measured)
    if (known.length === 0) return
    const shares = known.map(([{ text: _, ...share }, { fingerprint }]) => ({
      ...share,
      fingerprint,
    }))
    const slowOnes = (await withQueries(slow)).map(([{ text: _, ...one }, { fingerprint }]) => ({
      ...one,
      fingerprint,
    }))
    await inPlatform(sql, async (tx) => {
      await repository.putQueries(
        tx,
        known.map(([, query]) => query),
      )
      await repository.addShares(tx, { source: 'latchkey', hour: now().toISOString(), shares })
      if (slowOnes.length > 0) await repository.addSlow(tx, slowOnes)
    })
  }

  const write = async (sql: Sql) => {
    const { measured, slow, dropped } = recorder.take()
    try {
      await put(sql, measured, slow)
      if (dropped > 0) log.warn({ dropped }, 'statements were too many to be told apart')
    } catch (error) {
      // Figures to look at, not books: what a minute measured may be lost with the database.
      log.warn({ err: error }, 'what statements took was not written down')
    }
  }

  /** Writes down what was measured until now. One at a time. */
  const flush = (sql: Sql): Promise<void> => {
    flushing = flushing.then(() => write(sql))
    return flushing
  }

  const start = (sql: Sql) => {
    let timer: ReturnType<typeof setTimeout>
    let stopped = false
    const tick = () => {
      if (!stopped) timer = setTimeout(() => flush(sql).then(tick), FLUSH_MS)
    }
    tick()
    return {
      stop: async () => {
        if (stopped) return
        stopped = true
        clearTimeout(timer)
        await flush(sql)
      },
    }
  }
  return { flush, start }
}
