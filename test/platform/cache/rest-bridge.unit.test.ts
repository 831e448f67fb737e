import { Redis } from '@upstash/redis/cloudflare'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { BRIDGE_TOKEN, type CacheServers, startCacheServers } from '../../support/cache-stores.ts'
import { until } from '../../support/until.ts'

let servers: CacheServers
let skip: string | undefined

beforeAll(async () => {
  const started = await startCacheServers()
  if ('skip' in started) skip = started.skip
  else servers = started
})
afterAll(() => servers?.stop())
// There is no Redis behind the bridge; in CI a skip is a failure.
beforeEach((context) => {
  if (skip) context.skip(skip)
})

const call = async (path: string, body?: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(`${servers.bridge.url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${BRIDGE_TOKEN}`, ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: response.status, body: await response.json() }
}
const base64 = { 'upstash-encoding': 'base64' }

describe('the bridge', () => {
  test.each([
    ['a command', '/', ['SET', 'greeting', 'hello'], { result: 'OK' }],
    ['a command as a path', '/get/greeting', undefined, { result: 'hello' }],
    ['a path with a body', '/set/body', 'a/b c', { result: 'OK' }],
    ['a path with options', '/set/options/x?EX=100', undefined, { result: 'OK' }],
    ['an escaped path', '/set/a%2Fb/c%20d', undefined, { result: 'OK' }],
    ['numbers', '/', ['INCRBY', 'number', 41], { result: 41 }],
    ['nothing', '/get/nothing', undefined, { result: null }],
    [
      'lists',
      '/',
      ['MGET', 'greeting', 'nothing', 'body', 'a/b'],
      { result: ['hello', null, 'a/b c', 'c d'] },
    ],
  ])('answers %s', async (_, path, body, answer) => {
    expect(await call(path, body)).toEqual({ status: 200, body: answer })
  })

  test('encodes strings at any depth when it is asked to, and leaves OK and numbers', async () => {
    await call('/', ['SET', 'text', 'ünïcode'])
    const encoded = Buffer.from('ünïcode').toString('base64')
    expect((await call('/get/text', undefined, base64)).body).toEqual({ result: encoded })
    expect((await call('/', ['MGET', 'text', 'none'], base64)).body).toEqual({
      result: [encoded, null],
    })
    expect((await call('/', ['SET', 'text', 'x'], base64)).body).toEqual({ result: 'OK' })
    expect((await call('/', ['STRLEN', 'text'], base64)).body).toEqual({ result: 1 })
  })

  test('answers a pipeline one by one, errors too, and a transaction as a whole', async () => {
    const commands = [
      ['SET', 'p', '1'],
      ['INCR', 'p'],
      ['LPUSH', 'p', 'x'],
      ['GET', 'p'],
    ]
    for (const path of ['/pipeline', '/multi-exec']) {
      const { status, body } = await call(path, commands)
      expect(status).toBe(200)
      expect(body).toEqual([
        { result: 'OK' },
        { result: 2 },
        { error: expect.stringMatching(/^WRONGTYPE/) },
        { result: '2' },
      ])
    }
    const refused = await call('/multi-exec', [['SET', 'p', '5'], ['NONSENSE']])
    expect(refused).toMatchObject({
      status: 400,
      body: { error: expect.stringMatching(/EXECABORT/) },
    })
    expect((await call('/get/p')).body).toEqual({ result: '2' })
  })

  test('keeps transactions of many callers apart', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        call('/multi-exec', [
          ['SET', 'shared', `${at}`],
          ['GET', 'shared'],
        ]),
      ),
    )
    expect(answers.map(({ body }) => body[1].result)).toEqual(answers.map((_, at) => `${at}`))
  })

  test.each([
    ['no token', { authorization: '' }],
    ['another token', { authorization: 'Bearer wrong' }],
    ['half of it', { authorization: `Bearer ${BRIDGE_TOKEN.slice(0, 5)}` }],
  ])('refuses %s', async (_, headers) => {
    expect(await call('/get/greeting', undefined, headers)).toEqual({
      status: 401,
      body: { error: 'Unauthorized' },
    })
  })

  test.each([
    ['an unknown command', '/', ['NONSENSE']],
    ['a wrong type', '/', ['LPUSH', 'greeting', 'x']],
    ['no array', '/', { get: 'x' }],
    ['nothing at all', '/', []],
    ['no JSON', '/', '{'],
    ['what would block it', '/', ['BLPOP', 'x', '0']],
    ['what would change its connection', '/', ['select', '3']],
    ['what only a listener can be answered', '/', ['SUBSCRIBE', 'x']],
    ['a transaction by hand', '/pipeline', [['MULTI']]],
  ])('answers %s with 400 and why', async (_, path, body) => {
    await call('/', ['SET', 'greeting', 'hello'])
    const answer = await call(path, body)
    expect([answer.status, typeof answer.body.error]).toEqual([400, 'string'])
  })

  test('sends the messages of a channel as events', async () => {
    const abort = new AbortController()
    const response = await fetch(`${servers.bridge.url}/subscribe/news`, {
      method: 'POST',
      headers: { authorization: `Bearer ${BRIDGE_TOKEN}`, accept: 'text/event-stream' },
      signal: abort.signal,
    })
    let heard = ''
    void (async () => {
      for await (const chunk of response.body!) heard += new TextDecoder().decode(chunk)
    })().catch(() => {})
    await until(() => heard.includes('subscribe,news,1'))
    await call('/', ['PUBLISH', 'news', 'it, works'])
    await until(() => heard.includes('data: message,news,it, works\n\n'))
    abort.abort()
    await until(async () => (await call('/', ['PUBLISH', 'news', 'x'])).body.result === 0)
  })

  test("is understood by Upstash's own client, with its defaults", async () => {
    const redis = new Redis({ url: servers.bridge.url, token: BRIDGE_TOKEN })
    expect(await redis.set('json', { a: [1, 'ü'] })).toBe('OK')
    expect(await redis.get('json')).toEqual({ a: [1, 'ü'] })
    expect(await redis.pipeline().incr('n').incr('n').exec()).toEqual([1, 2])
    expect(await redis.multi().set('m', 'x').get('m').exec()).toEqual(['OK', 'x'])
    const heard: unknown[] = []
    const subscriber = redis.subscribe(['their-news'])
    subscriber.on('message', ({ message }) => void heard.push(message))
    await until(async () => (await redis.publish('their-news', 'hello')) === 1)
    await until(() => heard.includes('hello'))
    await subscriber.unsubscribe()
  })
})
