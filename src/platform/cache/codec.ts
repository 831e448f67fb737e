import { fromBase64 } from './base64.ts'
import type { ReadAt } from './key.ts'
import { type CacheKeys, KEY_ID_BYTES } from './keyring.ts'

/** What is stored of a value: its JSON text, and what there is to know to answer with it. */
export type Stored = ReadAt & {
  /** JSON. */
  readonly text: string
  /** When its load began, by the clock of who loaded it; it tells two loads apart. */
  readonly storedAtMs: number
  /** When it ends; after that it may be answered as stale only, and only where that is allowed. */
  readonly expiresAtMs: number
  /** When it may not be answered any more, not even as stale. */
  readonly usableUntilMs: number
  /** Milliseconds it took to load. */
  readonly loadMs: number
}

/** A value that does not open: altered, moved from another key, or sealed with a key that is none of ours. */
export class TamperedError extends Error {}

const VERSION = 1
const GZIP = 1
const HEAD_BYTES = 2 + KEY_ID_BYTES
const NONCE_BYTES = 12
/** Smaller ones grow, and larger ones are worth the time. */
const GZIP_BYTES_MIN = 1024
/** `=`: base64 follows, which a node over REST wrote. */
const BASE64_SIGN = 61

type Bytes = Uint8Array<ArrayBuffer>
const [encoder, decoder] = [new TextEncoder(), new TextDecoder('utf-8', { fatal: true })]

const through = async (bytes: Bytes, stream: CompressionStream | DecompressionStream) =>
  new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer())

const joined = (...parts: Uint8Array[]): Bytes => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** The full key and the head: moved under another key, or with another flag, nothing opens. */
const boundTo = (key: string, head: Uint8Array) => joined(encoder.encode(`${key}\n`), head)

export type SealOptions = {
  keys: CacheKeys
  organizationId: string
  /** The full key in the store. */
  key: string
  /** Whether it may hold secrets beside text of callers: its length would tell of both when it is compressed. */
  isSecret: boolean
}

/**
 * A stored value as bytes: version, flags, key id, nonce, AES-256-GCM (NIST SP 800-38D) over its JSON, compressed (gzip)
 * above 1 KB. The full key is bound to it as additional data.
 */
export const sealStored = async (stored: Stored, options: SealOptions): Promise<Uint8Array> => {
  const { keys, organizationId, key, isSecret } = options
  const { text, ...about } = stored
  const plain = encoder.encode(`${JSON.stringify(about)}\n${text}`) as Bytes
  const isCompressed = !isSecret && plain.length > GZIP_BYTES_MIN
  const body = isCompressed ? await through(plain, new CompressionStream('gzip')) : plain
  const head = joined(Uint8Array.of(VERSION, isCompressed ? GZIP : 0), keys.currentId)
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
  const cipher = { name: 'AES-GCM', iv, additionalData: boundTo(key, head) }
  const sealed = await crypto.subtle.encrypt(
    cipher,
    (await keys.find(keys.currentId, organizationId)) as CryptoKey,
    body,
  )
  return joined(head, iv, new Uint8Array(sealed))
}

const rawOf = (bytes: Uint8Array): Bytes => {
  if (bytes[0] !== BASE64_SIGN) return bytes as Bytes
  try {
    return fromBase64(decoder.decode(bytes.subarray(1))) as Bytes
  } catch {
    return bytes as Bytes
  }
}

/** What was sealed under this key. @throws TamperedError where it does not open */
export const openStored = async (
  given: Uint8Array,
  { keys, organizationId, key }: SealOptions,
): Promise<Stored> => {
  const bytes = rawOf(given)
  const head = bytes.subarray(0, HEAD_BYTES)
  if (bytes.length < HEAD_BYTES + NONCE_BYTES || head[0] !== VERSION)
    throw new TamperedError('it is no value of this version')
  const secret = keys.find(head.subarray(2), organizationId)
  if (!secret) throw new TamperedError('it was sealed with a key that is none of ours')
  try {
    const iv = bytes.subarray(HEAD_BYTES, HEAD_BYTES + NONCE_BYTES)
    const opened = await crypto.subtle.decrypt(
      { name: 'AES-GCM', iv, additionalData: boundTo(key, head) },
      await secret,
      bytes.subarray(HEAD_BYTES + NONCE_BYTES),
    )
    const body = new Uint8Array(opened)
    const plain = head[1] === GZIP ? await through(body, new DecompressionStream('gzip')) : body
    const whole = decoder.decode(plain)
    const end = whole.indexOf('\n')
    return { ...(JSON.parse(whole.slice(0, end)) as Stored), text: whole.slice(end + 1) }
  } catch {
    throw new TamperedError('it was altered, or moved from another key')
  }
}
