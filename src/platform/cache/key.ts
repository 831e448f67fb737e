import { sha256, toBase64Url } from '../crypto/hash.ts'
import { hashOfText } from './tiny-lfu.ts'

/** What a value was read at: the organization's revision, and the platform's where the value depends on that, too. */
export type ReadAt = { readonly revision: number; readonly platformRevision: number }

/** All that an entry's key is made of. */
export type KeyParts = ReadAt & {
  readonly environment: string
  /** An organization's id, or `platform`. */
  readonly organizationId: string
  readonly namespace: string
  /** The generations of what the entry belongs to, one behind the other. */
  readonly generation: string
  /** What tells entries apart: any text, also of callers. Only its hash leaves the process. */
  readonly text: string
}

/** Characters of a key's text. */
export const KEY_LENGTH_MAX = 4096

const WORD = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/

/** @throws RangeError where a part could be mistaken for two: a colon separates them */
export const requireWord = (what: string, text: string): string => {
  if (!WORD.test(text)) throw new RangeError(`the ${what} of a cache key must be one word`)
  return text
}

/** An entry's key within one process: the same parts as they are, without the cost of a hash. */
export const localKey = (at: ReadAt, organizationId: string, generation: string, text: string) =>
  `${organizationId}:${at.revision}p${at.platformRevision}.${generation}:${text}`

/** Hash of a local key without its revision and generation: what callers take for one and the same. */
export const hashOfLocalKey = (key: string): number => {
  const from = key.indexOf(':')
  return hashOfText(key.slice(0, from) + key.slice(key.indexOf(':', from + 1)))
}

/** SHA-256 of a key's text, URL-safe base64. */
export const hashOfKey = async (text: string): Promise<string> => toBase64Url(await sha256(text))

/**
 * An entry's key in the remote store: `v1:<environment>:<organization>:<namespace>:<revision>p<platform's>.<generation>:<hash>`.
 * Every input of the answer is in it, so that a change needs no deleting: from then on another key is asked.
 */
export const remoteKey = async (parts: KeyParts): Promise<string> => {
  const { environment, organizationId, namespace, revision, platformRevision, generation } = parts
  const place = `v1:${environment}:${requireWord('organization', organizationId)}:${namespace}`
  return `${place}:${revision}p${platformRevision}.${generation}:${await hashOfKey(parts.text)}`
}
