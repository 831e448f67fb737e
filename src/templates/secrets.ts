import { inputAt } from './fill.ts'
import { lint } from './secret-rules.ts'

/** A text of a definition, and where it stands. */
export type Place = {
  readonly path: readonly (string | number)[]
  /** The member it is the value of, or what the member beside it calls it: `{"name": "Authorization", "value": …}`. */
  readonly key: string
  readonly text: string
}

/** A text that is a secret, and of which service where that can be told. */
export type Secret = Place & { readonly service: string | undefined }

/** What secretlint's preset does not know, by the service it opens. */
const OTHERS: readonly (readonly [service: string | undefined, pattern: RegExp])[] = [
  [undefined, /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----/],
  // An id, not the secret beside it; it says whose account to try.
  ['aws', /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/],
  ['google', /\bAIza[\w-]{35}\b/],
  ['telegram', /\b\d{8,10}:[\w-]{35}\b/],
  ['twilio', /\b(?:SK|AC)[0-9a-f]{32}\b/],
  ['mailgun', /\bkey-[0-9a-f]{32}\b/],
  ['airtable', /\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b/],
  ['latchkey', /\blk_[0-9a-z]{26}_[\w-]{20,}|\bwhsec_[\w+/=-]{20,}/],
  // A webhook's address is all one needs to send to it.
  ['discord', /\bdiscord(?:app)?\.com\/api\/webhooks\/\d+\/[\w-]+/],
  ['slack', /\bhooks\.slack\.com\/(?:services|workflows|triggers)\/[\w/-]+/],
  ['teams', /\bwebhook\.office\.com\/webhookb2\/[\w@/-]+/],
  ['zapier', /\bhooks\.zapier\.com\/hooks\/[\w/-]+/],
  ['make', /\bhook\.(?:[\w-]{1,20}\.){0,3}make\.com\/\w{16,}/],
  [undefined, /\/webhook(?:-test)?\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/i],
  // JSON Web Tokens, and what stands in a header or an address in their stead.
  [undefined, /(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/],
  [undefined, /\b(?:bearer|basic|token|apikey)\s+(?!\{)[\w.~+/=-]{16,}/i],
  [
    undefined,
    /[?&](?:api[_-]?key|access[_-]?token|auth|token|key|secret|password|sig(?:nature)?)=(?!\{)[^&\s{}]{8,}/i,
  ],
]

/** Members whose value is a secret, by the end of their name: `maxTokens` and `tokenUrl` are not. */
const KEYS =
  /(?:^|_)(?:passw(?:or)?d|passphrase|pwd|secret|token|api_?key|authorization|private_?key|access_?key|secret_?key|auth_?key|signing_?key|encryption_?key|bearer|cookie|credentials?)$/
/** Characters below which such a value is more likely the name of something. */
const CHARACTERS_MIN = 8

/** `clientSecret`, `client-secret`, `CLIENT SECRET` → `client_secret`. */
const wordsOf = (key: string) =>
  key
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toLowerCase()
    .replace(/^_|_$/g, '')

/** What is left of a text that is computed when it runs: `=Bearer {{ $json.token }}` → `Bearer `. */
const literalOf = (text: string) => {
  if (!text.startsWith('=')) return text
  let literal = ''
  for (let at = 1; at < text.length; ) {
    const [open, close] = [text.indexOf('{{', at), text.indexOf('}}', at)]
    if (open < 0 || close < open) return literal + text.slice(at)
    literal += text.slice(at, open)
    at = close + 2
  }
  return literal
}

const isLongLiteral = (text: string) => {
  const literal = literalOf(text)
    .replace(/^\s*(?:bearer|basic|token)\s+/i, '')
    .trim()
  return literal.length >= CHARACTERS_MIN && !/^https?:\/\/[^\s@]*$/.test(literal)
}

/** Whether a member is called like a secret. */
export const isSecretName = (key: string): boolean => KEYS.test(wordsOf(key))

/** Every text of a value with its place; what stands for an input is none. */
export const placesIn = (root: unknown): Place[] => {
  const places: Place[] = []
  const walk = (value: unknown, path: readonly (string | number)[], key: string): void => {
    if (typeof value === 'string') places.push({ path, key, text: value })
    else if (Array.isArray(value))
      for (const [index, each] of value.entries()) walk(each, [...path, index], key)
    else if (typeof value === 'object' && value !== null && inputAt(value) === undefined) {
      const called = nameBeside(value)
      for (const [member, each] of Object.entries(value))
        walk(each, [...path, member], called !== undefined && member === 'value' ? called : member)
    }
  }
  walk(root, [], '')
  return places
}

/** `{"name": "Authorization", "value": "…"}`: what a value is called stands beside it. */
const nameBeside = (value: object) => {
  const { name, key } = value as { name?: unknown; key?: unknown }
  if (typeof name === 'string') return name
  return typeof key === 'string' ? key : undefined
}

/** `@secretlint/secretlint-rule-slack` → `slack`; of rules about any service, nothing. */
const serviceOf = (ruleId: string) => {
  const [, name] = /secretlint-rule-([\w-]+)$/.exec(ruleId) ?? []
  return name && !['privatekey', 'basicauth', 'database-connection-string'].includes(name)
    ? name
    : undefined
}

/** The texts among these that are secrets: by what they look like, or by what they are called. @throws Problem 503 */
export const findSecrets = async (places: readonly Place[]): Promise<Secret[]> => {
  // Each alone and behind its name, because some secrets are only known by it. One text for all of them, looked at once.
  let text = ''
  const ends: number[] = []
  for (const place of places) {
    text += `\n${place.text}\n${place.key.replace(/[^\w.-]+/g, '_')}="${place.text}"\n`
    ends.push(text.length)
  }
  const services = new Map<number, string | undefined>()
  for (const { ruleId, from } of await lint(text)) {
    const index = indexOf(ends, from)
    if (services.get(index) === undefined) services.set(index, serviceOf(ruleId))
  }
  return places.flatMap((place, index) => {
    const [other] = OTHERS.filter(([, pattern]) => pattern.test(place.text))
    if (!services.has(index) && !other && !(isSecretName(place.key) && isLongLiteral(place.text)))
      return []
    return [{ ...place, service: services.get(index) ?? other?.[0] }]
  })
}

/** The first of these ends that lies behind a position. */
const indexOf = (ends: readonly number[], position: number): number => {
  let [low, high] = [0, ends.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (ends[middle]! > position) high = middle
    else low = middle + 1
  }
  return low
}

/** Whether a text as a whole still holds something that looks like a secret. @throws Problem 503 */
export const holdsSecret = async (text: string): Promise<boolean> => (await lint(text)).length > 0

/** The JSON Pointer (RFC 6901) of a place. */
export const pointerTo = (path: readonly (string | number)[], root = ''): string =>
  root + path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
