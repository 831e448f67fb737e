import { unprocessable } from '../platform/problem.ts'
import { mayBePublic } from '../platform/public-address.ts'

/** Ports of services that read anything as commands, or that nobody runs for the public (WHATWG Fetch, "bad port", and databases). */
const BAD_PORTS = new Set([
  ...[1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101],
  ...[102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 138, 139, 143, 161, 179],
  ...[389, 427, 445, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587],
  ...[601, 636, 989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2375, 2379, 3306, 3389],
  ...[3659, 4045, 4190, 5060, 5061, 5432, 5900, 6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669],
  ...[6679, 6697, 9200, 10080, 10250, 11211, 27017],
])

/** What is wrong with where a webhook wants to be told; nothing if it can be used. */
export const faultOfUrl = (text: string, privateAddresses: boolean): string | undefined => {
  const url = URL.parse(text)
  if (!url) return 'must be a URL'
  const isHttp = url.protocol === 'http:' && privateAddresses
  if (url.protocol !== 'https:' && !isHttp) return 'must begin with https://'
  if (url.username !== '' || url.password !== '') return 'must have no user and no password in it'
  if (text.includes('#')) return 'must have no fragment'
  if (BAD_PORTS.has(Number(url.port))) return 'must not name a port of another service'
  if (!privateAddresses && !mayBePublic(url)) return 'must lead to a public address'
  return undefined
}

/**
 * A webhook makes this server send where a customer says: never into the network it stands in.
 * @throws Problem 422 that names the place
 */
export const requirePublicUrl = (url: string, privateAddresses: boolean): void => {
  const fault = faultOfUrl(url, privateAddresses)
  if (fault) throw unprocessable('url-not-public', '/url', `/url ${fault}.`)
}
