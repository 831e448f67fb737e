import type { Stored } from './codec.ts'
import type { ReadAt } from './key.ts'
import { spread } from './lifetime.ts'
import type { NamespaceRules } from './namespaces.ts'
import { parsePlain } from './plain.ts'
import { hashOfText } from './tiny-lfu.ts'

/** What a loader answers. */
export type Loaded<Value> = {
  /** Plain JSON. null says that there is nothing, and is kept for a time of its own; undefined is never kept. */
  readonly value: Value
  /** The revision of the snapshot it was read in, in the same transaction. 0 where the namespace is bound to none. */
  readonly revision: number
  readonly platformRevision?: number
  /** When what it says ends by itself, as the earliest end of the grants it used: an expiry raises no revision. */
  readonly expiresAtMs?: number | undefined
  /** false where the answer hung on the time, or on what is not in the key: it is given to its own caller only. */
  readonly isStorable?: boolean
}

/** One value in memory. */
export type Entry = ReadAt & {
  /** Frozen. */
  readonly value: unknown
  readonly organizationId: string
  /** The key's text. */
  readonly text: string
  /** The hash of the whole key, for the trace. */
  readonly hash: number
  /** Bytes it counts for. */
  readonly bytes: number
  readonly storedAtMs: number
  readonly expiresAtMs: number
  readonly usableUntilMs: number
  readonly loadMs: number
  hits: number
}

/** Where an entry belongs. */
export type Home = { readonly organizationId: string; readonly text: string }

/** Bytes of an entry besides its key and its value. */
const ENTRY_BYTES = 256
/** A character takes two bytes, and a value in memory about twice its JSON. */
const BYTES_PER_CHARACTER = 2

/** What is to be stored of a loaded value; undefined where nothing is. @throws TypeError where it is no plain JSON */
export const storedOf = (
  loaded: Loaded<unknown>,
  rules: NamespaceRules,
  about: { startedAtMs: number; loadMs: number; random: () => number },
): Stored | undefined => {
  const { value, revision, platformRevision = 0, expiresAtMs, isStorable = true } = loaded
  const text = value === undefined || !isStorable ? undefined : JSON.stringify(value)
  if (text === undefined || text.length > rules.valueBytesMax) return undefined
  const { startedAtMs, loadMs, random } = about
  const ttlMs = spread(value === null ? rules.negativeTtlMs : rules.ttlMs, random)
  // What was read is as old as the beginning of the load.
  const lastMs = expiresAtMs ?? Number.POSITIVE_INFINITY
  const staleMs = Math.max(rules.staleIfErrorMs, rules.staleWhileLoadingMs)
  return {
    ...{ text, revision, platformRevision, loadMs, storedAtMs: startedAtMs },
    expiresAtMs: Math.min(startedAtMs + ttlMs, lastMs),
    usableUntilMs: Math.min(startedAtMs + ttlMs + staleMs, lastMs),
  }
}

/** A stored value in memory, under its local key. @throws SyntaxError where its text is no JSON */
export const entryOf = (stored: Stored, key: string, home: Home): Entry => {
  const { text, ...about } = stored
  return {
    ...about,
    ...home,
    value: parsePlain(text),
    hash: hashOfText(key),
    bytes: ENTRY_BYTES + BYTES_PER_CHARACTER * (text.length + key.length + home.text.length),
    hits: 0,
  }
}
