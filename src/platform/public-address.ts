/** The bytes of an IPv4 address in dotted form; undefined for anything else. */
const bytesOfIpv4 = (text: string): number[] | undefined => {
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) return undefined
  const bytes = text.split('.').map(Number)
  return bytes.every((byte) => byte <= 255) ? bytes : undefined
}

/** The bytes of an IPv6 address (RFC 4291 §2.2), without a zone; undefined for anything else. */
const bytesOfIpv6 = (text: string): number[] | undefined => {
  const ipv4 = /(?<=:)\d+(?:\.\d+){3}$/.exec(text)?.[0]
  const tail = ipv4 === undefined ? [] : bytesOfIpv4(ipv4)
  if (!tail) return undefined
  const groups = ipv4 === undefined ? text : text.slice(0, -ipv4.length).replace(/([^:]):$/, '$1')
  const halves = groups.split('::')
  const sides = halves.map((half) => (half === '' ? [] : half.split(':')))
  if (halves.length > 2 || !sides.flat().every((group) => /^[0-9a-f]{1,4}$/i.test(group)))
    return undefined
  const [before, after] = sides.map((side) =>
    side.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]),
  ) as [number[], number[] | undefined]
  const missing = 16 - before.length - (after?.length ?? 0) - tail.length
  if (after === undefined ? missing !== 0 : missing < 2) return undefined
  return [...before, ...Array<number>(missing).fill(0), ...(after ?? []), ...tail]
}

/** What is not of the public Internet, or carries another address inside (RFC 6890 and the registries of IANA). */
const NOT_PUBLIC = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // shared by carriers
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local: metadata of clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // AMT
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
  '::/96', // unspecified, loopback, IPv4-compatible
  '::ffff:0:0/96', // IPv4-mapped
  '::ffff:0:0:0/96', // IPv4-translated
  '64:ff9b::/96', // NAT64
  '64:ff9b:1::/48', // NAT64 of one's own
  '100::/64', // discard
  '100:0:0:1::/64', // dummy
  '2001::/23', // protocol assignments, Teredo
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
  '5f00::/16', // segment routing
  'fc00::/7', // unique local
  'fe80::/10', // link-local
  'fec0::/10', // site-local
  'ff00::/8', // multicast
].map((range) => {
  const [address = '', bits = ''] = range.split('/')
  return { bytes: (bytesOfIpv4(address) ?? bytesOfIpv6(address))!, bits: Number(bits) }
})

/** Whether an address, as bytes, is within a range. */
export const isWithin = (address: number[], range: { bytes: number[]; bits: number }) =>
  address.length === range.bytes.length &&
  range.bytes.every((byte, index) => {
    const bits = Math.min(8, Math.max(0, range.bits - index * 8))
    return ((byte ^ address[index]!) & (0xff << (8 - bits)) & 0xff) === 0
  })

/** The bytes of an IP address: 4 or 16; undefined where it is none, as a name. */
export const bytesOfAddress = (text: string): number[] | undefined =>
  bytesOfIpv4(text) ?? bytesOfIpv6(text)

/** Whether an IP address is one of the public Internet. What is no IP address is none. */
export const isPublicAddress = (text: string): boolean => {
  const address = bytesOfAddress(text)
  return address !== undefined && !NOT_PUBLIC.some((range) => isWithin(address, range))
}

/** The host of a URL as an address or a name: without the brackets of IPv6 and the last dot of a name. */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$|\.$/g, '$1')

/** Names that are this machine's or this network's own (RFC 6761, RFC 6762, RFC 8375, RFC 9476). */
const LOCAL_NAMES =
  /(?:^|\.)(?:localhost|localdomain|local|internal|intranet|lan|home|corp|home\.arpa|alt|onion|test|invalid|example)$/i

/**
 * Whether a URL's host can be public, judged by its text alone: neither an address that is not nor a name that never is.
 * A name may still lead to any address; whoever connects must look.
 */
export const mayBePublic = (url: URL): boolean => {
  const host = hostOf(url)
  if (url.hostname.startsWith('[') || bytesOfAddress(host)) return isPublicAddress(host)
  return host.includes('.') && !LOCAL_NAMES.test(host)
}
