import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { bannerOf } from '../../src/cli/banner.ts'

const running = {
  url: 'http://127.0.0.1:8080',
  version: '1.2.3',
  database: 'embedded' as const,
  adminKey: 'lk_secret',
  demo: true,
  stop: async () => {},
}
const banner = (more: Partial<typeof running> = {}) =>
  stripVTControlCharacters(bannerOf({ ...running, ...more } as never))

test('the first start shows where it is, its key once, and two questions to paste', () => {
  const text = banner()
  expect(text).toContain('Latchkey 1.2.3, on embedded storage\nready http://127.0.0.1:8080\n')
  expect(text).toContain("The first administrator's key, shown once:\nlk_secret\n")
  expect(
    text.match(/curl -s http:\/\/127\.0\.0\.1:8080\/check -H 'authorization: Bearer lk_secret'/g),
  ).toHaveLength(2)
  expect(text).toContain('"subject":"user:bob"')
})

test('a later start shows no key and lets the shell put it in', () => {
  const text = banner({ adminKey: undefined as never })
  expect(text).not.toContain('lk_')
  expect(text).toContain('Bearer $LATCHKEY_KEY')
  expect(banner({ demo: false, adminKey: undefined as never })).not.toContain('curl')
  expect(banner({ database: 'server' as never })).toContain('on its database server')
})
