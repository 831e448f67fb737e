import { LRUCache } from 'lru-cache'
import { fromHex, sha256, toHex } from '../crypto/hash.ts'

/** Keys that encrypt what leaves the process, another one for each organization. */
export type CacheKeys = {
  /** The id of the secret that new values are encrypted under: 8 bytes. */
  readonly currentId: Uint8Array
  /** An organization's key under the secret of this id; undefined where that is none of ours. */
  find(id: Uint8Array, organizationId: string): Promise<CryptoKey> | undefined
}

export const KEY_ID_BYTES = 8
/** Organizations whose keys are at hand. */
const KEYS_MAX = 10_000

const encoder = new TextEncoder()

const secretOf = async (hex: string) => {
  const bytes = fromHex(hex) as Uint8Array<ArrayBuffer>
  const id = (await sha256(bytes)).subarray(0, KEY_ID_BYTES)
  return { id, base: await crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey']) }
}

/**
 * Derives AES-256-GCM keys from the server's data key by HKDF-SHA-256 (RFC 5869), so that no organization's values open
 * with the key of another, and none with the key that seals secrets in the database.
 * @param keys.dataKey `DATA_KEY`: 64 hexadecimal digits
 * @param keys.previousDataKey `DATA_KEY_PREVIOUS`: what was stored before a rotation still opens
 */
export const createCacheKeys = async (keys: {
  dataKey: string
  previousDataKey?: string | undefined
}): Promise<CacheKeys> => {
  const current = await secretOf(keys.dataKey)
  const secrets = new Map([[toHex(current.id), current.base]])
  if (keys.previousDataKey) {
    const previous = await secretOf(keys.previousDataKey)
    secrets.set(toHex(previous.id), previous.base)
  }
  const derived = new LRUCache<string, Promise<CryptoKey>>({ max: KEYS_MAX })

  const derive = (base: CryptoKey, organizationId: string) =>
    crypto.subtle.deriveKey(
      {
        name: 'HKDF',
        hash: 'SHA-256',
        salt: new Uint8Array(0),
        info: encoder.encode(`latchkey cache v1 ${organizationId}`),
      },
      base,
      { name: 'AES-GCM', length: 256 },
      false,
      ['encrypt', 'decrypt'],
    )

  return {
    currentId: current.id,
    find: (id, organizationId) => {
      const idText = toHex(id)
      const base = secrets.get(idText)
      if (!base) return undefined
      const name = `${idText} ${organizationId}`
      let key = derived.get(name)
      if (!key) {
        key = derive(base, organizationId)
        derived.set(name, key)
      }
      return key
    },
  }
}
