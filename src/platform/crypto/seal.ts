import { fromHex, sha256, toBase64Url, toHex } from './hash.ts'

/** A key that encrypts what we must be able to read again; the id names it without telling it. */
export type SealKey = {
  readonly id: string
  readonly key: CryptoKey
  /** The one before it: what was sealed with that still opens. */
  readonly previous?: SealKey
}

const encoder = new TextEncoder()
const NONCE_BYTES = 12

/** An AES-256-GCM key from 64 hexadecimal digits (`DATA_KEY`), and from those before a rotation (`DATA_KEY_PREVIOUS`). */
export const sealKey = async (hex: string, previousHex?: string): Promise<SealKey> => {
  const secret = fromHex(hex) as Uint8Array<ArrayBuffer>
  return {
    ...(previousHex === undefined ? {} : { previous: await sealKey(previousHex) }),
    id: toHex(await sha256(secret)).slice(0, 16),
    key: await crypto.subtle.importKey('raw', secret, 'AES-GCM', false, ['encrypt', 'decrypt']),
  }
}

const bytesOf = (base64Url: string) =>
  Uint8Array.from(atob(base64Url.replaceAll('-', '+').replaceAll('_', '/')), (char) =>
    char.charCodeAt(0),
  )

/**
 * Encrypts a text for storage (AES-256-GCM, NIST SP 800-38D, a random nonce each time).
 * @param home what the text belongs to: sealed for one home, it opens for no other
 */
export const seal = async ({ id, key }: SealKey, home: string, text: string): Promise<string> => {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
  const additionalData = encoder.encode(home)
  const sealed = await crypto.subtle.encrypt(
    { name: 'AES-GCM', iv, additionalData },
    key,
    encoder.encode(text),
  )
  return `v1.${id}.${toBase64Url(iv)}.${toBase64Url(new Uint8Array(sealed))}`
}

/** What was sealed for this home. @throws when it was sealed with another key, for another home, or altered */
export const unseal = async (
  { id, key, previous }: SealKey,
  home: string,
  sealed: string,
): Promise<string> => {
  const [version, keyId, iv, text] = sealed.split('.')
  if (keyId === previous?.id && previous) return unseal(previous, home, sealed)
  if (version !== 'v1' || keyId !== id || !iv || !text)
    throw new Error(`sealed with another key than DATA_KEY (${keyId}, here ${id})`)
  const additionalData = encoder.encode(home)
  const opened = await crypto.subtle.decrypt(
    { name: 'AES-GCM', iv: bytesOf(iv), additionalData },
    key,
    bytesOf(text),
  )
  return new TextDecoder().decode(opened)
}
