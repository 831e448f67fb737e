import type { Log } from '../log.ts'
import { openStored, type Stored, sealStored } from './codec.ts'
import { type KeyParts, remoteKey } from './key.ts'
import type { CacheKeys } from './keyring.ts'
import { boundByStore } from './lifetime.ts'
import type { NamespaceRules } from './namespaces.ts'
import type { RemoteStore } from './remote-store.ts'
import type { Statistics } from './statistics.ts'

export type RemoteTierOptions = {
  store: RemoteStore
  keys: CacheKeys
  environment: string
  namespace: string
  rules: NamespaceRules
  statistics: Statistics
  log: Log
  now: () => number
}

/** Which entry: all of its key but what the tier knows. */
export type Address = Omit<KeyParts, 'environment' | 'namespace'>

/** Milliseconds between two lines of the log about values that do not open. */
const LOG_EVERY_MS = 60_000
/** Milliseconds others wait for the node that loads, and between two looks. */
const [WAIT_MS, LOOK_MS] = [200, 20]
/** Milliseconds after which a lease ends by itself, if its holder died. */
const LEASE_MS = 10_000
/** Two loads at once of what takes longer than this are worth a lease. */
export const SLOW_LOAD_MS = 200

export type RemoteTier = ReturnType<typeof createRemoteTier>

/** One namespace in the remote store: sealed on the way in, opened on the way out. */
export const createRemoteTier = (options: RemoteTierOptions) => {
  const { store, keys, rules, statistics, log, now } = options
  const { counts } = statistics
  let loggedAtMs = Number.NEGATIVE_INFINITY

  const keyOf = (address: Address) => remoteKey({ ...options, ...address })
  const sealing = ({ organizationId }: Address, key: string) => {
    return { keys, organizationId, key, isSecret: rules.isSecret }
  }
  /** Somebody else can write into the store, or a key was rotated twice. */
  const noteTampering = (address: Address, error: unknown) => {
    counts.tampered++
    if (now() - loggedAtMs < LOG_EVERY_MS) return
    loggedAtMs = now()
    const { namespace } = options
    const { organizationId } = address
    log.warn(
      { event: 'cache-tampering', namespace, organizationId, total: counts.tampered, err: error },
      'a value in the cache store does not open; it is read from the source instead',
    )
  }
  const find = async (address: Address): Promise<Stored | undefined> => {
    const key = await keyOf(address)
    const askedAtMs = now()
    const [kept] = await store.getMany([key])
    if (!kept) return undefined
    try {
      const stored = await openStored(kept.value, sealing(address, key))
      const isSame =
        stored.revision === address.revision && stored.platformRevision === address.platformRevision
      return isSame ? boundByStore(stored, kept.leftMs, askedAtMs) : undefined
    } catch (error) {
      noteTampering(address, error)
      return undefined
    }
  }

  return {
    /** The value with its times bound by the store's, also one that has ended; undefined where there is none, or where it does not open. */
    find,
    /** Keeps a value until it ends, and as long after that as it may be answered as stale. */
    put: async (address: Address, stored: Stored, keepUntilMs: number): Promise<void> => {
      const ttlMs = Math.floor(keepUntilMs - now())
      if (ttlMs < 1) return
      const key = await keyOf(address)
      counts.remoteStores++
      await store.set(key, await sealStored(stored, sealing(address, key)), ttlMs)
    },
    /** @throws when the store could not be told */
    delete: async (address: Address): Promise<void> => store.delete([await keyOf(address)]),
    /**
     * For loads that take long: whether this node is to load, or what another node has loaded meanwhile. Who waited in vain
     * loads, too. Answers what gives the lease back.
     */
    lease: async (address: Address): Promise<Stored | (() => Promise<void>)> => {
      const nothing = async () => {}
      try {
        const key = `${await keyOf(address)}:lease`
        if ((await store.increment(key, LEASE_MS)) === 1) return () => store.delete([key])
      } catch {
        return nothing
      }
      const untilMs = performance.now() + WAIT_MS
      while (performance.now() < untilMs) {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
        const found = await find(address)
        if (found && found.expiresAtMs > now()) return found
      }
      return nothing
    },
  }
}
