/**
 * Where values are kept for all nodes: bytes under keys, each with a lifetime. It may lose anything at any time, and go
 * back in time when it is restored from a dump; nothing that decides may rest on it.
 *
 * Eight methods. The eighth, `raise`, is there because "set if it is greater" cannot be put together of the others without
 * a race. `subscribe` is missing where nothing can be heard (REST: its client does not tell when it has lost the line).
 * Every method rejects when the store cannot be asked; none turns a failure into an answer.
 */
export type RemoteStore = {
  readonly kind: 'redis' | 'upstash' | 'none'
  /** The values in the order of the keys, each with what is left of its lifetime, as of one moment; null where there is none. */
  getMany(keys: readonly string[]): Promise<(KeptValue | null)[]>
  /** @param ttlMs milliseconds after which it is gone; at least 1 */
  set(key: string, value: Uint8Array, ttlMs: number): Promise<void>
  delete(keys: readonly string[]): Promise<void>
  /**
   * Adds one and answers the sum. The first one, which makes the key, gives it its lifetime.
   * @param ttlMs left out: for ever
   */
  increment(key: string, ttlMs?: number): Promise<number>
  /** Writes each number where none, or a smaller one, is; answers what stands there now. Lifetimes begin anew. */
  raise(numbers: readonly KeptNumber[], ttlMs: number): Promise<number[]>
  publish(channel: string, message: string): Promise<void>
  /**
   * Calls `hear` with each message until it is stopped, or until the line is lost: then `onLost` is called once, and
   * whoever listens subscribes again. Resolves when everything that is published from now on will be heard.
   */
  subscribe?(
    channel: string,
    hear: (message: string) => void,
    onLost: (error: Error) => void,
  ): Promise<Subscription>
  /** Resolves when the store answers. */
  ping(): Promise<void>
  /** Lets go of all connections; nothing may be asked any more. */
  close(): Promise<void>
}

/** A value under a key, as it was found. */
export type KeptValue = {
  readonly value: Uint8Array
  /** Milliseconds until the store forgets it, by the store's own clock; Infinity where it never does. */
  readonly leftMs: number
}

/** A number under a key: a revision, or a generation. */
export type KeptNumber = { readonly key: string; readonly number: number }

export type Subscription = {
  /** Resolves when everything that was published before the call has been heard. */
  prove(): Promise<void>
  stop(): Promise<void>
}

/** What is left of a lifetime as Redis answers it (`PTTL`): of a key without one, -1. */
export const leftMsOf = (answer: unknown): number => {
  const leftMs = Number(String(answer))
  return leftMs === -1 ? Number.POSITIVE_INFINITY : Math.max(0, leftMs || 0)
}

/** Values and what is left of their lifetimes, by turns. KEYS. */
export const GET_WITH_LIFETIME = `local found = {}
for at, key in ipairs(KEYS) do
  found[2 * at - 1] = redis.call('GET', key)
  found[2 * at] = redis.call('PTTL', key)
end
return found`

/** Adds one, and a lifetime when it was the first. KEYS[1]; ARGV[1] milliseconds. */
export const INCREMENT = `local sum = redis.call('INCR', KEYS[1])
if sum == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return sum`

/** Sets what is greater. KEYS; ARGV[1] milliseconds, then a number for each key. Answers texts: a Lua number loses digits. */
export const RAISE = `local reached = {}
for at, key in ipairs(KEYS) do
  local known = tonumber(redis.call('GET', key) or '')
  local wanted = ARGV[at + 1]
  if known and known > tonumber(wanted) then wanted = string.format('%.0f', known) end
  redis.call('SET', key, wanted, 'PX', ARGV[1])
  reached[at] = wanted
end
return reached`
