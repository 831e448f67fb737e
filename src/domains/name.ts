import { parse } from 'tldts'
import { isPublicMailDomain } from './public-mail.ts'

/** Why a name cannot be an organization's domain. */
export type Fault = 'malformed' | 'public-suffix' | 'public-mail'

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/
const LENGTH_MAX = 253

/**
 * A domain in the one form in which it is stored and compared: lower case, and in ASCII where it is internationalized
 * (RFC 5891). Undefined for what is none, such as an address or a single label.
 */
export const normalDomain = (text: string): string | undefined => {
  // A URL would take more than a name: ports, paths, addresses written as numbers.
  if (text.length > LENGTH_MAX || /[\s/\\?#@:[\]%<>^|]/.test(text)) return undefined
  const ascii = asciiOf(text.replace(/\.$/, ''))
  if (ascii === undefined || ascii.length > LENGTH_MAX) return undefined
  const labels = ascii.split('.')
  // The last label of an IPv4 address is a number; that of a name never is.
  if (labels.length < 2 || /^\d+$/.test(labels.at(-1)!)) return undefined
  return labels.every((label) => LABEL.test(label)) ? ascii : undefined
}

const asciiOf = (name: string) => {
  try {
    return new URL(`https://${name}`).hostname
  } catch {
    return undefined
  }
}

/** Why nobody may claim a domain: everybody can register below it, or everybody has an address in it. */
export const faultOf = (domain: string): Fault | undefined => {
  const { publicSuffix } = parse(domain, { allowPrivateDomains: true })
  if (publicSuffix === domain) return 'public-suffix'
  return isPublicMailDomain(domain) ? 'public-mail' : undefined
}

/** The domain of an e-mail address, in the form in which domains are stored. */
export const domainOfAddress = (email: string): string | undefined =>
  normalDomain(email.slice(email.lastIndexOf('@') + 1))
