import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DnsUnavailable, type ResolveTxt, resolveTxtOverHttps } from '../../src/platform/dns.ts'
import { createResolveTxt } from '../../src/platform/node/dns.ts'
import { type DnsServer, startDns } from '../support/dns.ts'

let dns: DnsServer
let overDns: ResolveTxt
beforeAll(async () => {
  dns = await startDns()
  overDns = createResolveTxt([dns.address])
})
afterAll(() => dns.stop())

const signal = (ms = 5000) => AbortSignal.timeout(ms)

describe('the DNS', () => {
  test('gives the texts of a name, each put together of its parts', async () => {
    dns.records.set('many.example', [['one'], ['tw', 'o']])
    expect((await overDns('many.example', signal())).toSorted()).toEqual(['one', 'two'])
  })
  test('has nothing of a name that is not there', async () => {
    expect(await overDns('nothing.example', signal())).toEqual([])
  })
  test.each([
    ['fails', 2],
    ['refuses', 5],
  ])('is unavailable where it %s', async (_, rcode) => {
    dns.state.rcode = rcode
    await expect(overDns('many.example', signal())).rejects.toThrow(DnsUnavailable)
    dns.state.rcode = undefined
  })
  test('is given up when told to', async () => {
    dns.state.isSilent = true
    const startedAtMs = Date.now()
    await expect(overDns('many.example', signal(200))).rejects.toThrow()
    expect(Date.now() - startedAtMs).toBeLessThan(2000)
    dns.state.isSilent = false
    await expect(overDns('many.example', AbortSignal.abort())).rejects.toThrow()
  })
})

describe('the DNS over HTTPS', () => {
  /** Answers as Cloudflare's and Google's resolvers do (application/dns-json). */
  const state = { status: 200, body: '', asked: '' }
  const server = createServer((request, response) => {
    state.asked = request.url ?? ''
    response.writeHead(state.status, { 'content-type': 'application/dns-json' })
    response.end(state.body)
  })
  let overHttps: ResolveTxt
  beforeAll(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    overHttps = resolveTxtOverHttps(`http://127.0.0.1:${port}/dns-query`)
  })
  afterAll(() => void server.close())
  const answering = (body: unknown, status = 200) => {
    Object.assign(state, { status, body: typeof body === 'string' ? body : JSON.stringify(body) })
    return overHttps('_latchkey.acme.example', signal())
  }
  const txt = (data: string, type = 16) => ({ name: 'x', type, TTL: 1, data })

  test('gives the texts of a name', async () => {
    const answer = {
      Status: 0,
      Answer: [txt('"one"'), txt('"tw" "o\\"s"'), txt('bare'), txt('x', 5)],
    }
    expect(await answering(answer)).toEqual(['one', 'two"s', 'bare'])
    expect(state.asked).toBe('/dns-query?name=_latchkey.acme.example&type=TXT')
  })
  test('has nothing of a name that is not there', async () => {
    expect(await answering({ Status: 3 })).toEqual([])
    expect(await answering({ Status: 0 })).toEqual([])
  })
  test.each([
    ['fails', { Status: 2 }, 200],
    ['answers nothing', {}, 200],
    ['answers a page', '<html>', 200],
    ['answers a list of nothing', 'null', 200],
    ['answers with an error', { Status: 0, Answer: [] }, 502],
    ['answers far too much', ' '.repeat(70_000), 200],
  ])('is unavailable where it %s', async (_, body, status) => {
    await expect(answering(body, status)).rejects.toThrow(DnsUnavailable)
  })
  test('is unavailable where nobody is there', async () => {
    const nobody = resolveTxtOverHttps('http://127.0.0.1:1/dns-query')
    await expect(nobody('x.example', signal())).rejects.toThrow(DnsUnavailable)
  })
})
