import { sha256, toHex } from './hash.ts'

/** A key that authenticates what we wrote; the id names it without telling it. */
export type MacKey = { readonly id: string; readonly key: CryptoKey }

/** An HMAC-SHA-256 key from at least 32 bytes of secret. */
export const macKey = async (secret: Uint8Array<ArrayBuffer>): Promise<MacKey> => ({
  id: toHex(await sha256(secret)).slice(0, 16),
  key: await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ]),
})

/** HMAC-SHA-256 (RFC 2104) of bytes. */
export const mac = async ({ key }: MacKey, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.sign('HMAC', key, bytes))
