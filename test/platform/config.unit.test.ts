import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../src/platform/config.ts'

describe('settings', () => {
  test('have defaults', () => {
    expect(readConfig({})).toMatchObject({
      HOST: '127.0.0.1',
      PORT: 8080,
      DATA_DIR: './data',
      LATCHKEY_DEMO: true,
      SELF_SERVICE_ORGANIZATIONS: true,
      DEFAULT_PLAN: 'free',
      LOG_LEVEL: 'info',
      ENGINE_VERIFY: 'off',
      STALENESS_MS: 1000,
    })
  })

  test('that are empty count as absent, and others are trimmed', () => {
    expect(readConfig({ PORT: '', HOST: '  ', LATCHKEY_DEMO: 'off' })).toMatchObject({
      PORT: 8080,
      HOST: '127.0.0.1',
      LATCHKEY_DEMO: false,
    })
    expect(readConfig({ PORT: ' 9000 ' }).PORT).toBe(9000)
  })

  test.each([
    ['PORT', '80 80'],
    ['PORT', '-1'],
    ['PORT', '65536'],
    ['PORT', '0x50'],
    ['DATABASE_URL', 'mysql://user:hunter2@host/db'],
    ['DATABASE_URL', 'nonsense-hunter2'],
    ['DATABASE_CONNECTIONS_MAX', '0'],
    ['WORKERS', '0'],
    ['WORKERS', 'many'],
    ['WORKERS', '1000'],
    ['LATCHKEY_ADMIN_KEY', 'hunter2'],
    ['LATCHKEY_DEMO', 'yes'],
    ['SELF_SERVICE_ORGANIZATIONS', 'true'],
    ['DEFAULT_PLAN', 'hunter2'],
    ['JWT_JWKS_URL', 'ftp://hunter2'],
    ['PUBLIC_URL', 'hunter2'],
    ['LOG_LEVEL', 'loud'],
    ['ENGINE_VERIFY', 'some'],
    ['STALENESS_MS', '10'],
    ['POLICY_BYTES_MAX', '1'],
    ['AUDIT_MAC_KEY', 'hunter2'],
    ['AUDIT_MAC_KEY', 'ab'.repeat(31)],
    ['STORED_ONLY_ATTRIBUTES', 'hunter2'],
    ['TRUSTED_PROXIES', 'hunter2'],
    ['TRUSTED_PROXIES', '10.0.0.0/8,'],
    ['TRUSTED_PROXIES', '10.0.0.1/8'],
    ['DNS_SERVERS', 'hunter2'],
    ['DNS_SERVERS', '127.0.0.1:x'],
  ])('refuse %s=%s by name, and never repeat the value', (name, value) => {
    const read = () => readConfig({ [name]: value })
    expect(read).toThrow(ConfigError)
    expect(read).toThrow(new RegExp(`^${name}`))
    expect(read).not.toThrow(/hunter2/)
  })

  test('of an issuer come all three or none', () => {
    const all = {
      JWT_ISSUER: 'https://issuer.example',
      JWT_AUDIENCE: 'latchkey',
      JWT_JWKS_URL: 'https://issuer.example/jwks',
    }
    expect(readConfig(all)).toMatchObject(all)
    for (const name of Object.keys(all))
      expect(() => readConfig({ ...all, [name]: undefined })).toThrow('all three or none')
  })

  test('of the cache name one store, and another database than the queue', () => {
    const rest = { UPSTASH_REDIS_REST_URL: 'https://x.upstash.io', UPSTASH_REDIS_REST_TOKEN: 't' }
    expect(readConfig(rest)).toMatchObject({
      ...rest,
      ...{ CACHE_ENVIRONMENT: 'latchkey', CACHE_COMMAND_TIMEOUT_MS: 50 },
    })
    expect(() => readConfig({ ...rest, UPSTASH_REDIS_REST_TOKEN: '' })).toThrow('both or neither')
    expect(() => readConfig({ UPSTASH_REDIS_REST_TOKEN: 'hunter2' })).toThrow(
      'UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN: set both or neither',
    )
    expect(() => readConfig({ ...rest, REDIS_URL: 'redis://h' })).toThrow('set one of them')
    for (const [cache, queue] of [
      ['redis://h', 'redis://h:6379/0'],
      ['redis://a:hunter2@H/1', 'rediss://b@h/1'],
      ['redis://h:7000', 'redis://h:7000'],
    ])
      expect(() => readConfig({ REDIS_URL: cache, REDIS_QUEUE_URL: queue })).toThrow(
        'REDIS_URL: it is the database of REDIS_QUEUE_URL',
      )
    for (const [cache, queue] of [
      ['redis://h/1', 'redis://h/0'],
      ['redis://h:6380', 'redis://h'],
      ['redis://one', 'redis://other'],
    ])
      expect(readConfig({ REDIS_URL: cache, REDIS_QUEUE_URL: queue }).REDIS_URL).toBe(cache)
    for (const environment of ['a:b', 'a b', '*', '-a', 'x'.repeat(65)])
      expect(() => readConfig({ CACHE_ENVIRONMENT: environment })).toThrow('CACHE_ENVIRONMENT')
  })

  test('rotate the key of secrets with the one before it', () => {
    const [key, before] = ['cd'.repeat(32), 'ab'.repeat(32)]
    expect(readConfig({ DATA_KEY: key, DATA_KEY_PREVIOUS: before }).DATA_KEY_PREVIOUS).toBe(before)
    expect(() => readConfig({ DATA_KEY_PREVIOUS: before })).toThrow('DATA_KEY: required with')
    expect(() => readConfig({ DATA_KEY: key, DATA_KEY_PREVIOUS: 'short' })).toThrow(
      'DATA_KEY_PREVIOUS: must be 64',
    )
  })

  test('in production with a database server name the keys of the log and of secrets', () => {
    const production = { NODE_ENV: 'production', DATABASE_URL: 'postgres://host/db' }
    expect(() => readConfig(production)).toThrow('AUDIT_MAC_KEY: required in production')
    const keys = { AUDIT_MAC_KEY: 'ab'.repeat(32), DATA_KEY: 'cd'.repeat(32) }
    expect(() => readConfig({ ...production, ...keys, DATA_KEY: undefined })).toThrow(
      'DATA_KEY: required in production',
    )
    expect(readConfig({ ...production, ...keys }).NODE_ENV).toBe('production')
    expect(readConfig({ NODE_ENV: 'production' }).NODE_ENV).toBe('production')
  })

  test('list proxies and servers', () => {
    const { TRUSTED_PROXIES, DNS_SERVERS } = readConfig({
      TRUSTED_PROXIES: '10.0.0.0/8, fd00::/8,192.0.2.1',
      DNS_SERVERS: '127.0.0.1:5353, [::1]:53, ::1,192.0.2.1',
    })
    expect(TRUSTED_PROXIES?.map(({ bits }) => bits)).toEqual([8, 8, 32])
    expect(DNS_SERVERS).toEqual(['127.0.0.1:5353', '[::1]:53', '::1', '192.0.2.1'])
  })

  test('list attributes by entity', () => {
    const { STORED_ONLY_ATTRIBUTES } = readConfig({
      STORED_ONLY_ATTRIBUTES: 'subject.role, resource.owner',
    })
    expect(STORED_ONLY_ATTRIBUTES).toEqual(['subject.role', 'resource.owner'])
  })
})
