import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'

export type Issuer = Awaited<ReturnType<typeof startIssuer>>

/** A key pair of an issuer: what signs, and what is published of it. */
export const newSigner = async (kid: string, alg = 'ES256') => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const published: JWK = { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }
  return { kid, alg, privateKey, published }
}

/** An issuer of tokens on the loopback interface. What it publishes and how it answers can be changed at any time. */
export const startIssuer = async () => {
  const signer = await newSigner('first')
  const state = { fetches: 0, isDown: false, keys: [signer.published] }
  const server = createServer((_request, response) => {
    state.fetches++
    response.writeHead(state.isDown ? 500 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ keys: state.keys }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const settings = { issuer: url, audience: 'latchkey', jwksUrl: `${url}/jwks.json` }

  /** A token of a person: `tokenOf('alice')` is user:alice for an hour. */
  const tokenOf = (sub: string, claims: JWTPayload = {}, by = signer) => {
    const nowSeconds = Math.floor(Date.now() / 1000)
    return new SignJWT({
      iss: settings.issuer,
      aud: settings.audience,
      sub,
      iat: nowSeconds,
      exp: nowSeconds + 3600,
      ...claims,
    })
      .setProtectedHeader({ alg: by.alg, kid: by.kid })
      .sign(by.privateKey)
  }
  const stop = async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  return { settings, state, signer, tokenOf, stop }
}
