import { bytesOfAddress, isWithin } from './public-address.ts'

/** A range of IP addresses: its first one as bytes, and how many bits count. */
export type AddressRange = { readonly bytes: number[]; readonly bits: number }

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255]

/** The bytes of an address; of an IPv4 address that came as an IPv6 one (`::ffff:…`, RFC 4291 §2.5.5.2) those of the former. */
const plainBytes = (text: string): number[] | undefined => {
  const bytes = bytesOfAddress(text)
  return bytes?.length === 16 && MAPPED.every((byte, index) => bytes[index] === byte)
    ? bytes.slice(12)
    : bytes
}

/** `203.0.113.0/24`, `2001:db8::/32` or a single address; undefined for anything else, and where bits stand after its length. */
export const parseRange = (text: string): AddressRange | undefined => {
  const [, address = '', length] = /^([0-9a-f.:]{1,45})(?:\/(\d{1,3}))?$/i.exec(text) ?? []
  const bytes = bytesOfAddress(address)
  if (!bytes) return undefined
  const bits = length === undefined ? bytes.length * 8 : Number(length)
  if (bits > bytes.length * 8 || !isWithin(bytes, { bytes: firstOf(bytes, bits), bits: 128 }))
    return undefined
  const plain = plainBytes(address)!
  if (plain.length === bytes.length) return { bytes, bits }
  return bits < 96 ? undefined : { bytes: plain, bits: bits - 96 }
}

const firstOf = (bytes: readonly number[], bits: number) =>
  bytes.map((byte, index) => byte & (0xff << (8 - Math.min(8, Math.max(0, bits - index * 8)))))

/** Whether an address is in one of the ranges. What is no address is in none. */
export const isInRanges = (address: string, ranges: readonly AddressRange[]): boolean => {
  const bytes = plainBytes(address)
  return bytes !== undefined && ranges.some((range) => isWithin(bytes, range))
}

/** Whether two texts name the same address. */
export const isSameAddress = (one: string, other: string): boolean => {
  const range = plainBytes(one)
  return range !== undefined && isInRanges(other, [{ bytes: range, bits: range.length * 8 }])
}

/** Bytes of an IPv6 address that name a network; the rest is its owner's to choose (RFC 4291 §2.5.4). */
const NETWORK_BYTES = 8

/** What one client can hardly change of its address: all of an IPv4 one, the first 64 bits of an IPv6 one, as text. */
export const networkOf = (address: string): string | undefined =>
  plainBytes(address)?.slice(0, NETWORK_BYTES).join('.')
