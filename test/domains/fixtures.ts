import { createResolveTxt } from '../../src/platform/node/dns.ts'
import { startDns } from '../support/dns.ts'
import { startIssuer } from '../support/issuer.ts'
import { startTestServer } from '../support/server.ts'

let made = 0

/** A server with an issuer of tokens and a real DNS server that it asks. */
export const startWithDns = async (options: Parameters<typeof startTestServer>[0] = {}) => {
  const [issuer, dns] = [await startIssuer(), await startDns()]
  const resolveTxt = createResolveTxt([dns.address])
  const server = await startTestServer({ jwt: issuer.settings, resolveTxt, ...options })
  const person = (name: string, email = `${name}@example.com`, isVerified = true) =>
    issuer.tokenOf(name, { email, email_verified: isVerified })
  const newDomain = () => `d${Date.now().toString(36)}${made++}.example`

  /** An organization with a domain that it has proven. */
  const newProven = async (enrollment: object = {}) => {
    const organization = await server.newOrganization()
    const domain = newDomain()
    const { body } = await server.call(`POST ${organization.path}/domains`, { domain })
    dns.put(body.record)
    const at = `${organization.path}/domains/${domain}`
    await server.call(`POST ${at}/verify`)
    if (Object.keys(enrollment).length > 0) await server.call(`PATCH ${at}`, enrollment)
    return { ...organization, domain, at }
  }

  const stop = async () => {
    await server.drop()
    await dns.stop()
    await issuer.stop()
  }
  return { server, issuer, dns, resolveTxt, person, newDomain, newProven, stop }
}
