const encoder = new TextEncoder()
const PREFIX = 'whsec_'
const SECRET_BYTES = 32

const toBase64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes))

/** A new secret as people copy it: `whsec_` and 32 random bytes in base64 (Standard Webhooks, "Signature scheme"). */
export const newSecret = (): string =>
  PREFIX + toBase64(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)))

type Signed = { id: string; timestamp: number; body: string }

/** `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`. */
export const sign = async (secret: string, { id, timestamp, body }: Signed): Promise<string> => {
  const bytes = Uint8Array.from(atob(secret.slice(PREFIX.length)), (char) => char.charCodeAt(0))
  const key = await crypto.subtle.importKey(
    'raw',
    bytes,
    { name: 'HMAC', hash: 'SHA-256' },
    false,
    ['sign'],
  )
  const mac = await crypto.subtle.sign('HMAC', key, encoder.encode(`${id}.${timestamp}.${body}`))
  return `v1,${toBase64(new Uint8Array(mac))}`
}

/** The headers by which a receiver knows who sent it, and when: one signature for each secret. */
export const signatureHeaders = async (secrets: readonly string[], message: Signed) => ({
  'webhook-id': message.id,
  'webhook-timestamp': String(message.timestamp),
  'webhook-signature': (await Promise.all(secrets.map((secret) => sign(secret, message)))).join(
    ' ',
  ),
})
