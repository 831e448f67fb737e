import { type AddressRange, isInRanges, isSameAddress } from '../address-range.ts'

/** What is known of where a request came from. */
export type Hops = {
  /** The other end of the connection. */
  peer: string | undefined
  /** `X-Forwarded-For`. */
  forwardedFor: string | null
  /** `Forwarded` (RFC 7239). */
  forwarded: string | null
}

/**
 * The address of the client: of the connection, or, where that is a proxy we trust, the last one in what it says that is no
 * proxy we trust. Whoever calls directly can write both headers, so they count for nothing then. A proxy sets one of them and
 * hands on the other as the client wrote it; where both are there and differ, nobody knows.
 */
export const clientAddressOf = (
  { peer, forwardedFor, forwarded }: Hops,
  trusted: readonly AddressRange[],
): string | undefined => {
  if (peer === undefined || trusted.length === 0 || !isInRanges(peer, trusted)) return peer
  const said = [
    ...(forwardedFor === null ? [] : [lastUntrusted(forwardedFor.split(','), trusted)]),
    ...(forwarded === null ? [] : [lastUntrusted(forwarded.split(',').map(forOf), trusted)]),
  ]
  if (said.length === 0) return peer
  const [first] = said
  const isAgreed = said.every((each) => each !== undefined && isSameAddress(each, first!))
  return isAgreed ? first : undefined
}

const lastUntrusted = (hops: readonly string[], trusted: readonly AddressRange[]) => {
  const addresses = hops.map(addressOf)
  const at = addresses.findLastIndex(
    (address) => address === undefined || !isInRanges(address, trusted),
  )
  return addresses[Math.max(0, at)]
}

/** `for=` of one element; RFC 7239 §4 has names in any case and values in quotes. */
const forOf = (element: string): string =>
  /(?:^|;)\s*for\s*=\s*"?([^";]*)"?\s*(?:;|$)/i.exec(element)?.[1] ?? ''

/** The address of a node, without its port: `192.0.2.1:80`, `[2001:db8::1]:80`; undefined for what names none. */
const addressOf = (node: string): string | undefined => {
  const text = node.trim()
  const bare =
    /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1] ??
    /^(\d+(?:\.\d+){3}):\d{1,5}$/.exec(text)?.[1] ??
    text
  return isSameAddress(bare, bare) ? bare : undefined
}
