import { lookup as lookupName } from 'node:dns/promises'
import { request as requestHttp } from 'node:http'
import { type RequestOptions, request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { hostOf, isPublicAddress } from '../public-address.ts'
import { BODY_BYTES_MAX, NotPublic, type Send, type SendAnswer, textOf } from '../send.ts'

type Address = { address: string; family: number }

/** All addresses of a name. */
export type Lookup = (name: string) => Promise<Address[]>

const lookupAll: Lookup = (name) => lookupName(name, { all: true, verbatim: true })

type SendOptions = {
  /** Lets private addresses be reached. */
  privateAddresses: boolean
  lookup?: Lookup
}

/**
 * Posts to public addresses only. A name is resolved once, every address it has must be public, and the connection goes to
 * exactly these: a name that answers otherwise the next time (DNS rebinding) is not asked a next time. TLS still demands the
 * certificate of the name.
 */
export const createSend = ({ privateAddresses, lookup = lookupAll }: SendOptions): Send => {
  const checked: LookupFunction = (name, { all }, callback) => {
    resolved(name).then(
      (addresses) =>
        all
          ? callback(null, addresses)
          : callback(null, addresses[0]!.address, addresses[0]!.family),
      (error: NodeJS.ErrnoException) => callback(error, ''),
    )
  }
  const resolved = async (name: string): Promise<Address[]> => {
    const addresses = await lookup(name).catch((error: unknown) => {
      throw privateAddresses ? error : new NotPublic()
    })
    const refused = !privateAddresses && !addresses.every(({ address }) => isPublicAddress(address))
    if (addresses.length === 0 || refused) throw new NotPublic()
    return addresses
  }

  return async ({ url, headers, body, signal }) => {
    const target = new URL(url)
    // An address in the URL is connected to without a lookup.
    const host = hostOf(target)
    if (!privateAddresses && isIP(host) !== 0 && !isPublicAddress(host)) throw new NotPublic()
    const bytes = Buffer.from(body)
    const options: RequestOptions = {
      method: 'POST',
      headers: { ...headers, 'content-length': bytes.length },
      // A connection of its own: none that somebody else's lookup led to is used again.
      agent: false,
      lookup: checked,
      signal,
    }
    return answerOf(target, options, bytes)
  }
}

const answerOf = (target: URL, options: RequestOptions, bytes: Buffer) =>
  new Promise<SendAnswer>((resolve, reject) => {
    const request = target.protocol === 'https:' ? requestHttps : requestHttp
    let answered = false
    const sent = request(target, options, (response) => {
      answered = true
      const chunks: Buffer[] = []
      let length = 0
      // The status counts also where the body breaks off.
      const end = () =>
        resolve({
          status: response.statusCode!,
          body: textOf(Buffer.concat(chunks).subarray(0, BODY_BYTES_MAX)),
          retryAfter: response.headers['retry-after'] ?? null,
        })
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        length += chunk.length
        if (length >= BODY_BYTES_MAX) response.destroy()
      })
      response.on('error', end)
      response.on('close', end)
    })
    sent.on('error', reject)
    // As with 101: the connection is over, and nothing was an answer.
    sent.on('close', () => answered || reject(new Error('the connection ended without an answer')))
    sent.end(bytes)
  })
