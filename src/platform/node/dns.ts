import { Resolver } from 'node:dns/promises'
import { DnsUnavailable, type ResolveTxt } from '../dns.ts'

const TIMEOUT_MS = 3000
const TRIES = 2
/** What servers say of a name that is not there, or has no such record. */
const ABSENT = new Set(['ENOTFOUND', 'ENODATA'])

/** TXT records by the servers that are named, else by those of the system. */
export const createResolveTxt = (servers?: readonly string[]): ResolveTxt => {
  return async (name, signal) => {
    signal.throwIfAborted()
    // One each: to cancel cancels all that a resolver has asked.
    const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES })
    if (servers) resolver.setServers(servers)
    const cancel = () => resolver.cancel()
    signal.addEventListener('abort', cancel, { once: true })
    try {
      return (await resolver.resolveTxt(name)).map((parts) => parts.join(''))
    } catch (error) {
      signal.throwIfAborted()
      const code = error instanceof Error && 'code' in error ? String(error.code) : ''
      if (ABSENT.has(code)) return []
      throw new DnsUnavailable('the resolver cannot be reached', { cause: error })
    } finally {
      signal.removeEventListener('abort', cancel)
    }
  }
}
