import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'
import { newSecret, signatureHeaders } from '../../src/webhooks/signature.ts'

const message = (body: string) => ({
  id: 'evt_01',
  timestamp: Math.floor(Date.now() / 1000),
  body,
})

test.each([['{"a":1}'], ['{"name":"Zoë 🔑","text":"line\\nbreak"}'], ['']])(
  'of %s is what the library of the standard makes and takes',
  async (body) => {
    const secret = newSecret()
    const given = message(body)
    const headers = await signatureHeaders([secret], given)
    const library = new Webhook(secret)
    expect(headers['webhook-signature']).toBe(
      library.sign(given.id, new Date(given.timestamp * 1000), body),
    )
    if (body !== '') expect(library.verify(body, headers)).toEqual(JSON.parse(body))
  },
)

test('stands there once for each secret, and each verifies', async () => {
  const [former, present, other] = [newSecret(), newSecret(), newSecret()]
  const headers = await signatureHeaders([present, former], message('{}'))
  expect(headers['webhook-signature'].split(' ')).toHaveLength(2)
  for (const secret of [former, present]) new Webhook(secret).verify('{}', headers)
  expect(() => new Webhook(other).verify('{}', headers)).toThrow('No matching signature')
})

test('is of the id, the time and each byte', async () => {
  const secret = newSecret()
  const headers = await signatureHeaders([secret], message('{"a":1}'))
  const verify = (body: string, over: object) =>
    new Webhook(secret).verify(body, { ...headers, ...over })
  expect(() => verify('{"a":2}', {})).toThrow()
  expect(() => verify('{"a":1}', { 'webhook-id': 'evt_02' })).toThrow()
  const later = String(Number(headers['webhook-timestamp']) + 1)
  expect(() => verify('{"a":1}', { 'webhook-timestamp': later })).toThrow()
  expect(verify('{"a":1}', {})).toEqual({ a: 1 })
})

test('has a secret of 32 random bytes', () => {
  const secrets = Array.from({ length: 100 }, newSecret)
  expect(new Set(secrets).size).toBe(100)
  for (const secret of secrets) {
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(Buffer.from(secret.slice(6), 'base64')).toHaveLength(32)
  }
})
