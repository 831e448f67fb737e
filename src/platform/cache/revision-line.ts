import type { Log } from '../log.ts'
import { type Ear, openEar } from './ear.ts'
import { requireWord } from './key.ts'
import type { RemoteStore } from './remote-store.ts'

/** Milliseconds in which revisions are gathered into one message. */
const GATHER_MS = 1
/** Milliseconds a revision stands in the store: a store that was restored from a dump tells nothing for longer. */
const KEPT_MS = 1000

export type Listener = {
  /** An organization (or `platform`) has reached this revision. The same may be heard twice, and in any order. */
  heard(organizationId: string, revision: number): void
  /** Nothing is heard from now on: revisions are read elsewhere until it is back. */
  lost(): void
  /** It is heard again. What was published meanwhile must be read elsewhere. */
  back(): void
}

export type RevisionLine = {
  /**
   * Tells all nodes, after the commit, that an organization has reached a revision. Calls of the same moment go together.
   * @throws when they could not be told: they find out when they next read the database, or the caller tries again
   */
  publish(organizationId: string, revision: number): Promise<void>
  /** Revisions that were published within the last second; null where none is known, so that the database must be asked. */
  read(organizationIds: readonly string[]): Promise<(number | null)[]>
  /** Whether this store lets nodes listen. Over REST they `read`. */
  readonly canHear: boolean
  /** Listens from now on. Begins as lost, without saying so, until `back` is called for the first time. */
  hear(listener: Listener): void
  /** All that was published before this moment has been heard; −Infinity while the line is lost. */
  sureUntilMs(): number
  /** Whether somebody listens who hears nothing; false while the line is opened for the first time. */
  isLost(): boolean
  stop(): Promise<void>
}

export type RevisionLineOptions = {
  store: RemoteStore
  environment: string
  gatherMs?: number
  keptMs?: number
  now?: () => number
}

type Waiting = { revision: number; told: Promise<void> }

const parse = (line: string): [organizationId: string, revision: number] | undefined => {
  const [, organizationId, revision] = /^([\w-]{1,64}) (\d{1,16})$/.exec(line) ?? []
  return organizationId ? [organizationId, Number(revision)] : undefined
}

/**
 * Carries revisions between nodes: a number under a key, set if it is greater, for those who read; and a message for those
 * who listen.
 *
 * Listening is publish and subscribe on one channel, not client-side caching (`CLIENT TRACKING … BCAST`): a push of that
 * names the key only, so that each node would ask for the number of each change, and node-redis turns tracking on without
 * a prefix. The message carries the number itself, in one flight, and the same code serves generations. What tracking
 * tells besides, that keys were flushed or thrown away, does not matter: nobody who listens reads the keys.
 */
export const openRevisionLine = (options: RevisionLineOptions): RevisionLine => {
  const { store, gatherMs = GATHER_MS, keptMs = KEPT_MS, now } = options
  const prefix = `v1:${requireWord('environment', options.environment)}`
  const channel = `${prefix}:revisions`
  const keyOf = (organizationId: string) =>
    `${prefix}:revision:${requireWord('organization', organizationId)}`
  const ears: Ear[] = []
  let gathered = new Map<string, Waiting>()
  let sending: Promise<void> | undefined

  const send = async () => {
    await new Promise((resolve) => setTimeout(resolve, gatherMs))
    const revisions = [...gathered]
    gathered = new Map()
    sending = undefined
    const lines = revisions.map(([organizationId, { revision }]) => `${organizationId} ${revision}`)
    const numbers = revisions.map(([organizationId, { revision }]) => ({
      key: keyOf(organizationId),
      number: revision,
    }))
    // In one flight: the message carries the numbers, so its order with the keys does not matter.
    const told = [store.raise(numbers, keptMs), store.publish(channel, lines.join('\n'))]
    const [failed] = (await Promise.allSettled(told)).filter(({ status }) => status === 'rejected')
    if (failed) throw (failed as PromiseRejectedResult).reason
  }

  return {
    canHear: store.subscribe !== undefined,
    publish: (organizationId, revision) => {
      keyOf(organizationId)
      sending ??= send()
      const before = gathered.get(organizationId)?.revision ?? 0
      const waiting = { revision: Math.max(revision, before), told: sending }
      gathered.set(organizationId, waiting)
      return waiting.told
    },
    read: async (organizationIds) => {
      const values = await store.getMany(organizationIds.map(keyOf))
      const texts = values.map((kept) => kept && new TextDecoder().decode(kept.value))
      return texts.map((text) => (text !== null && /^\d{1,16}$/.test(text) ? Number(text) : null))
    },
    hear: ({ heard, lost, back }) => {
      const hear = (message: string) => {
        for (const line of message.split('\n')) {
          const revision = parse(line)
          if (revision) heard(...revision)
        }
      }
      ears.push(openEar({ store, channel, hear, lost, back, now }))
    },
    sureUntilMs: () =>
      ears.length === 0
        ? Number.NEGATIVE_INFINITY
        : Math.min(...ears.map((ear) => ear.sureUntilMs())),
    isLost: () => ears.some((ear) => ear.isLost()),
    stop: async () => {
      await Promise.all(ears.map((ear) => ear.stop()))
    },
  }
}

/** How a node tells of its commits, and what it does with those of others. */
export type Changes = {
  onCommit(tell: (organizationId: string, revision: number | null) => void): void
  heard(organizationId: string, revision: number | null): void
  unsure(): void
}

/**
 * Lets a node speak and listen on a line. What could not be told is found by the others when they next read the log of
 * changes, at their staleness bound at the latest; so it is said aloud, and not tried again.
 * @param waitUntil on Workers: keeps what is told after an answer alive
 */
export const joinRevisionLine = (
  line: RevisionLine,
  changes: Changes,
  log: Log,
  waitUntil: (telling: Promise<unknown>) => void = () => {},
): void => {
  changes.onCommit((organizationId, revision) => {
    if (revision === null) return
    const telling = line
      .publish(organizationId, revision)
      .catch((error: unknown) =>
        log.warn(
          { err: error, organizationId },
          'other nodes were not told of a change over Redis',
        ),
      )
    waitUntil(telling)
  })
  if (line.canHear) line.hear({ heard: changes.heard, lost: changes.unsure, back: changes.unsure })
}
