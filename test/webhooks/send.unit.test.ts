import { createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createSend, type Lookup } from '../../src/platform/node/send.ts'
import { fetchSend, type Send } from '../../src/platform/send.ts'
import { hang, type Receiver, startReceiver, status } from './receiver.ts'

let receiver: Receiver
beforeAll(async () => {
  receiver = await startReceiver()
})
afterAll(() => receiver.stop())

const post = (send: Send, url: string, signal = AbortSignal.timeout(3000)) =>
  send({ url, headers: { 'x-a': 'b' }, body: '{"ä":1}', signal })
const v4 =
  (...addresses: string[]): Lookup =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))

describe('on Node', () => {
  const open = createSend({ privateAddresses: true })
  const guarded = (lookup?: Lookup) => createSend({ privateAddresses: false, lookup })
  const refused = 'the host has no public address'

  test('posts the exact bytes and answers with the status', async () => {
    receiver.answer('/a', status(201))
    const answer = await post(open, receiver.url('/a'))
    expect(answer).toEqual({ status: 201, body: 'status 201', retryAfter: null })
    const [received] = receiver.at('/a')
    expect(received!.body).toBe('{"ä":1}')
    expect(received!.headers).toMatchObject({ 'x-a': 'b', 'content-length': '8' })
  })

  test('follows no redirect', async () => {
    receiver.answer('/from', status(302, { location: receiver.url('/to'), 'retry-after': '7' }))
    expect(await post(open, receiver.url('/from'))).toMatchObject({ status: 302, retryAfter: '7' })
    expect(receiver.at('/to')).toEqual([])
  })

  test('reads no more of an answer than it keeps, however long it goes on', async () => {
    receiver.answer('/endless', (response) => {
      const more = () => {
        while (response.write('x'.repeat(65_536)));
        if (!response.destroyed) response.once('drain', more)
      }
      response.writeHead(200)
      more()
    })
    const answer = await post(open, receiver.url('/endless'))
    expect(answer).toMatchObject({ status: 200, body: 'x'.repeat(1024) })
  })

  test('counts the status of an answer that breaks off', async () => {
    receiver.answer('/broken', (response) => {
      response.writeHead(200, { 'content-length': '100' }).write('begun')
      setTimeout(() => response.destroy(), 50)
    })
    expect(await post(open, receiver.url('/broken'))).toMatchObject({ status: 200, body: 'begun' })
  })

  test('gives up when told so', async () => {
    receiver.answer('/hang', hang)
    const beganMs = Date.now()
    await expect(post(open, receiver.url('/hang'), AbortSignal.timeout(100))).rejects.toThrow()
    expect(Date.now() - beganMs).toBeLessThan(2000)
  })

  test('does not wait for an answer that cannot come', async () => {
    receiver.answer('/upgrade', (response) => {
      response.socket!.write(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
      )
    })
    await expect(post(open, receiver.url('/upgrade'))).rejects.toThrow('without an answer')
  })

  test('connects to no private address that stands in the URL, in whatever notation', async () => {
    const { port } = receiver
    for (const host of ['127.0.0.1', '127.1', '2130706433', '[::1]', '[::ffff:127.0.0.1]', '0'])
      await expect(post(guarded(), `http://${host}:${port}/x`)).rejects.toThrow(refused)
    expect(receiver.at('/x')).toEqual([])
  })

  test.each([
    ['loopback', ['127.0.0.1']],
    ['the metadata of a cloud', ['169.254.169.254']],
    ['a private address among public ones', ['1.1.1.1', '10.0.0.1']],
    ['IPv4 inside IPv6', ['::ffff:127.0.0.1']],
    ['loopback of IPv6', ['::1']],
    ['nothing', []],
  ])('refuses a name that leads to %s', async (_, addresses) => {
    const send = guarded(v4(...addresses))
    const url = `http://hooks.example.com:${receiver.port}/x`
    await expect(post(send, url)).rejects.toThrow(refused)
    expect(receiver.at('/x')).toEqual([])
  })

  test('refuses the names of this machine by what they lead to', async () => {
    const url = `http://localhost:${receiver.port}/x`
    await expect(post(guarded(), url)).rejects.toThrow(refused)
  })

  test('says of a name that does not exist the same as of one that leads inside', async () => {
    const none: Lookup = async () => {
      throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
    }
    await expect(post(guarded(none), 'https://db.example.com/')).rejects.toThrow(refused)
  })

  test('asks for the addresses once, and connects to what was checked (rebinding)', async () => {
    // Public when it is checked; a second question would be answered with loopback, where somebody listens.
    const answers = [['192.0.2.1', '1.1.1.1'], ['127.0.0.1']]
    const lookup = vi.fn(async () =>
      (answers.shift() ?? ['127.0.0.1']).map((address) => ({ address, family: 4 })),
    )
    await expect(
      post(guarded(lookup), `http://hooks.example.com:${receiver.port}/x`),
    ).rejects.toThrow(refused)
    expect(lookup).toHaveBeenCalledTimes(1)

    // 1.1.1.1 is not reached from here or refuses the port; what matters is that nobody asks again and goes to loopback.
    const publicOnce = vi.fn(v4('1.1.1.1'))
    publicOnce.mockImplementationOnce(v4('1.1.1.1')).mockImplementation(v4('127.0.0.1'))
    const signal = AbortSignal.timeout(300)
    const url = `http://hooks.example.com:${receiver.port}/x`
    await expect(post(guarded(publicOnce), url, signal)).rejects.toThrow()
    expect(publicOnce).toHaveBeenCalledTimes(1)
    expect(receiver.at('/x')).toEqual([])
  })

  test('keeps nothing open: the next message is looked up anew', async () => {
    const lookup = vi.fn(v4('127.0.0.1'))
    const send = createSend({ privateAddresses: true, lookup })
    for (let count = 0; count < 2; count++)
      await post(send, `http://hooks.example.com:${receiver.port}/again`)
    expect(lookup).toHaveBeenCalledTimes(2)
    expect(receiver.at('/again').map(({ headers }) => headers.host)).toEqual([
      `hooks.example.com:${receiver.port}`,
      `hooks.example.com:${receiver.port}`,
    ])
  })

  test('asks in TLS for the certificate of the name, not of the address', async () => {
    const greeting = Promise.withResolvers<Buffer>()
    const server: Server = createServer((socket: Socket) => {
      socket.once('data', (bytes) => {
        greeting.resolve(bytes)
        socket.destroy()
      })
      socket.on('error', () => {})
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const send = createSend({ privateAddresses: true, lookup: v4('127.0.0.1') })
    await expect(post(send, `https://hooks.example.com:${port}/`)).rejects.toThrow()
    // The name stands in the ClientHello (RFC 6066 §3).
    expect((await greeting.promise).includes('hooks.example.com')).toBe(true)
    await new Promise((resolve) => server.close(resolve))
  })
})

describe('by fetch', () => {
  test('posts, follows no redirect, and reads no more than it keeps', async () => {
    receiver.answer('/fetch', (response) =>
      response.writeHead(307, { location: receiver.url('/to2') }).end('y'.repeat(100_000)),
    )
    const answer = await post(fetchSend({ privateAddresses: true }), receiver.url('/fetch'))
    expect(answer).toEqual({ status: 307, body: 'y'.repeat(1024), retryAfter: null })
    expect(receiver.at('/to2')).toEqual([])
  })

  test('refuses private addresses and names that stand in the URL', async () => {
    const send = fetchSend({ privateAddresses: false })
    for (const host of [
      '127.0.0.1',
      '2130706433',
      '[::1]',
      'localhost',
      'metadata.google.internal',
    ])
      await expect(post(send, `http://${host}:${receiver.port}/y`)).rejects.toThrow(
        'the host has no public address',
      )
    expect(receiver.at('/y')).toEqual([])
  })
})
