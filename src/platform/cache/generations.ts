import type { Queryable, Sql, Transaction } from '../db/connect.ts'
import { inPlatform } from '../db/transaction.ts'
import { join } from '../join.ts'
import type { Log } from '../log.ts'
import { openEar } from './ear.ts'
import { requireWord } from './key.ts'
import type { NamespaceName } from './namespaces.ts'
import type { RemoteStore } from './remote-store.ts'

/** What can be cleared at once. */
export type GenerationName =
  | `namespace:${NamespaceName}`
  | `organization:${string}`
  | `tag:${string}`

/** A generation that was raised; told to other nodes after the commit. */
export type Raised = { readonly name: GenerationName; readonly generation: number }

const NAME_LENGTH_MAX = 300

/**
 * Makes everything that belongs to a name unreachable, on all nodes, from the commit of this transaction on: at once where
 * `Generations.publish` reaches them afterwards, else within their staleness bound. Written as `latchkey_platform`.
 */
export const raiseGeneration = async (tx: Transaction, name: GenerationName): Promise<Raised> => {
  const [row] = await tx<{ generation: number }[]>`
    insert into cache_generations as known (name, generation) values (${name}, 1)
    on conflict (name) do update set generation = known.generation + 1, raised_by = pg_current_xact_id()
    returning generation`
  return { name, generation: row!.generation }
}

/** All entries of a namespace. */
export const clearNamespace = (tx: Transaction, namespace: NamespaceName) =>
  raiseGeneration(tx, `namespace:${namespace}`)

/** All entries that were stored with a tag, as `template:tpl_…`. */
export const clearTag = (tx: Transaction, tag: string) => raiseGeneration(tx, `tag:${tag}`)

/** All entries of an organization, in every namespace. Its revision stays as it is. */
export const clearOrganization = (tx: Transaction, organizationId: string) =>
  raiseGeneration(tx, `organization:${organizationId}`)

type Read = { cursor: string; raised: [name: GenerationName, generation: number][] }

/** Every generation that was raised since the oldest transaction that was open at the last call. */
const findRaisedSince = async (tx: Queryable, cursor: string): Promise<Read> => {
  const [row] = await tx<Read[]>`
    select pg_snapshot_xmin(pg_current_snapshot())::text as cursor,
      (select coalesce(json_agg(json_build_array(name, generation)), '[]') from cache_generations
       where raised_by >= ${cursor}::text::xid8) as raised`
  return row!
}

export type GenerationsOptions = {
  store: RemoteStore
  environment: string
  log: Log
  /** How long a generation that nobody told us of may be unknown here. Default 1000. */
  stalenessMs?: number
  now?: () => number
  /** Milliseconds a caller waits for what another has begun to read, see `join`. */
  joinMs?: number | undefined
}

export type Generations = ReturnType<typeof createGenerations>

/** What one node knows of the generations. It never goes back to a smaller one. */
export const createGenerations = (options: GenerationsOptions) => {
  const { store, log, stalenessMs = 1000, now = Date.now, joinMs } = options
  const channel = `v1:${requireWord('environment', options.environment)}:generations`
  const known = new Map<string, number>()
  const listeners: ((name: string) => void)[] = []
  let [cursor, readAtMs, doubts] = ['0', Number.NEGATIVE_INFINITY, 0]
  let reading: Promise<void> | undefined

  const learn = (name: string, generation: number) => {
    if (generation <= (known.get(name) ?? 0)) return
    known.set(name, generation)
    for (const listener of listeners) listener(name)
  }
  const read = async (sql: Sql) => {
    const [startedAtMs, doubtsBefore] = [now(), doubts]
    let found = await inPlatform(sql, (tx) => findRaisedSince(tx, cursor))
    // A database that was restored counts its transactions anew.
    if (BigInt(found.cursor) < BigInt(cursor))
      found = await inPlatform(sql, (tx) => findRaisedSince(tx, '0'))
    for (const [name, generation] of found.raised) learn(name, generation)
    cursor = found.cursor
    if (doubts === doubtsBefore) readAtMs = startedAtMs
  }
  const hear = (message: string) => {
    for (const line of message.split('\n')) {
      const at = line.lastIndexOf(' ')
      const generation = Number(line.slice(at + 1))
      if (at > 0 && at <= NAME_LENGTH_MAX && Number.isSafeInteger(generation))
        learn(line.slice(0, at), generation)
    }
  }
  const ear = openEar({
    store,
    channel,
    hear,
    lost: () => log.debug({}, 'cleared caches are not heard of, but read of each second'),
    now,
  })

  const refresh = (sql: Sql): Promise<void> => {
    const running = reading
    if (running)
      return join(running, joinMs, () => {
        if (reading === running) reading = undefined
        return refresh(sql)
      })
    const started = read(sql).finally(() => {
      if (reading === started) reading = undefined
    })
    reading = started
    return started
  }

  return {
    /** Whether what is known was read at most a second ago. */
    isFresh: (nowMs: number): boolean => nowMs - readAtMs <= stalenessMs,
    /** Reads what was raised since the last time; callers that come meanwhile wait for the same answer. */
    refresh,
    /** Something was raised here, and just committed: whoever asks next reads it first. */
    doubt: (): void => {
      doubts++
      readAtMs = Number.NEGATIVE_INFINITY
      reading = undefined
    },
    /** The generation as it is known here; 0 of what was never raised. */
    of: (name: GenerationName): number => known.get(name) ?? 0,
    /**
     * Tells all nodes, this one at once. Called after the commit.
     * @throws when the others could not be told; they read of it within their staleness bound
     */
    publish: async (raised: readonly Raised[]): Promise<void> => {
      for (const { name, generation } of raised) learn(name, generation)
      const lines = raised.map(({ name, generation }) => `${name} ${generation}`)
      if (lines.length > 0) await store.publish(channel, lines.join('\n'))
    },
    /** Calls back with each name whose generation rose. */
    onRaised: (listener: (name: string) => void): void => void listeners.push(listener),
    stop: () => ear.stop(),
  }
}
