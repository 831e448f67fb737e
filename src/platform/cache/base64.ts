/** Characters that one call may be given; more would not fit on the stack. */
const AT_ONCE = 8192

/** Standard base64 (RFC 4648 §4) of bytes of any length. */
export const toBase64 = (bytes: Uint8Array): string => {
  let binary = ''
  for (let at = 0; at < bytes.length; at += AT_ONCE)
    binary += String.fromCharCode(...bytes.subarray(at, at + AT_ONCE))
  return btoa(binary)
}

/** @throws where the text is no base64 */
export const fromBase64 = (text: string): Uint8Array =>
  Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
