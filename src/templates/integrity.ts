import type { Capabilities } from './manifest.ts'

const encoder = new TextEncoder()

const sha256 = async (text: string): Promise<string> => {
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', encoder.encode(text)))
  return btoa(String.fromCharCode(...bytes))
}

/** Of canonical JSON, in the form of Subresource Integrity (W3C SRI §3.1): `sha256-…`. */
export const integrityOf = async (canonical: string): Promise<string> =>
  `sha256-${await sha256(canonical)}`

/** What an installer sends back to consent to exactly these capabilities. */
export const consentOf = async (capabilities: Capabilities): Promise<string> =>
  `consent-${(await sha256(JSON.stringify([...capabilities].sort()))).slice(0, 32)}`
