import { sha256, toBase64Url } from '../platform/crypto/hash.ts'

/** The id of the operator's key whose secret comes from the setting LATCHKEY_ADMIN_KEY. */
export const OUTSIDE_KEY_ID = 'key_00000000000000000000000000'

const FORM = /^lk_([0-7][0-9a-hjkmnp-tv-z]{25})_([A-Za-z0-9_-]{43})$/

/** A new secret of 32 random bytes for a key, as it is presented: `lk_<id>_<secret>`. Only its hash is kept. */
export const newToken = async (id: string) => {
  const secret = toBase64Url(crypto.getRandomValues(new Uint8Array(32)))
  const token = `lk_${id.slice('key_'.length)}_${secret}`
  return { token, secretHash: await sha256(token) }
}

/** The key a token claims to be. A token of another form can only be the one that was given from outside. */
export const keyIdOf = (token: string): string => {
  const match = FORM.exec(token)
  return match ? `key_${match[1]}` : OUTSIDE_KEY_ID
}
