import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { Attributes, Reference, Timestamp } from '../../src/permissions/schema.ts'
import {
  equalInConstantTime,
  fromHex,
  sha256,
  toBase64Url,
  toHex,
} from '../../src/platform/crypto/hash.ts'
import { requestIdOf } from '../../src/platform/http/request-id.ts'
import { didYouMean, nearest } from '../../src/platform/nearest.ts'
import { positionOf, toPage } from '../../src/platform/page.ts'
import { parse } from '../../src/platform/parse.ts'
import { Problem } from '../../src/platform/problem.ts'

describe('the nearest names', () => {
  const known = ['scenario:read', 'scenario:create', 'connection:read', 'org:read']
  test('come nearest first, at most three', () => {
    expect(nearest('scenario:raed', known)).toEqual(['scenario:read'])
    expect(nearest('read', ['reed', 'rad', 'bread', 'red', 'road'])).toEqual([
      'bread',
      'rad',
      'red',
    ])
    expect(nearest('', ['ab', 'abc'])).toEqual(['ab'])
  })
  test('are none where nothing is near', () => {
    expect([nearest('wizard', known), didYouMean('wizard', known)]).toEqual([[], ''])
  })
  test('make a sentence', () => {
    expect(didYouMean('org:raed', known)).toBe(' Did you mean org:read?')
  })
})

describe('a cursor', () => {
  test.each(['a', 'user:é', '😀/%:,', 'x'.repeat(500), 'lead organization'])(
    'of %j comes back',
    (position) => {
      const { nextCursor, items } = toPage([{ id: position }, { id: 'next' }], 1, ({ id }) => id)
      expect(items).toEqual([{ id: position }])
      expect(nextCursor).toMatch(/^[\w-]+$/)
      expect(positionOf(nextCursor!)).toBe(position)
    },
  )
  test('is null at the end, and the first page needs none', () => {
    expect(toPage([{ id: 'a' }], 1, ({ id }) => id).nextCursor).toBe(null)
    expect(toPage([], 5, () => '')).toEqual({ items: [], nextCursor: null })
    expect(positionOf(undefined)).toBe('')
  })
  test.each(['', '%', 'a', '_w', 'AA', 'not base64!'])('%j is none of ours', (cursor) => {
    expect(() => positionOf(cursor)).toThrow(Problem)
  })
})

describe('bytes', () => {
  test('are hashed and written as standards say', async () => {
    expect(toHex(await sha256('abc'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
    expect(toBase64Url(Uint8Array.from([251, 255, 254]))).toBe('-__-')
    expect(fromHex('00fF')).toEqual(Uint8Array.from([0, 255]))
    for (const text of ['0', 'zz', '0 ']) expect(fromHex(text)).toBe(undefined)
  })
  test('are equal or not', () => {
    const bytes = (...values: number[]) => Uint8Array.from(values)
    expect(equalInConstantTime(bytes(1, 2), bytes(1, 2))).toBe(true)
    for (const other of [bytes(1, 3), bytes(1), bytes(1, 2, 0), bytes()])
      expect(equalInConstantTime(bytes(1, 2), other)).toBe(false)
  })
})

describe('the id of a request', () => {
  test.each(['a', 'x'.repeat(200), '~!@#$%'])(
    'is the caller’s where it is short and printable: %s',
    (id) => {
      expect(requestIdOf(id)).toBe(id)
    },
  )
  test.each([undefined, '', 'a b', 'é', 'x'.repeat(201), 'a\n', '\u0000'])(
    'is a new one for %j',
    (id) => {
      expect(requestIdOf(id)).toMatch(/^[0-9a-f-]{36}$/)
    },
  )
})

describe('a refusal of input', () => {
  const Schema = v.strictObject({
    name: v.pipe(v.string(), v.maxLength(3)),
    list: v.optional(v.array(v.strictObject({ 'a/b~c': v.number() }))),
    kind: v.optional(v.picklist(['x', 'y'])),
  })
  const faultsOf = (input: unknown) => {
    try {
      parse(Schema, input)
    } catch (error) {
      return (error as Problem).extras.errors
    }
    return undefined
  }
  test('names every place as a JSON Pointer', () => {
    expect(
      faultsOf({ name: 1, list: [{ 'a/b~c': 1 }, { 'a/b~c': 'hunter2' }], secret: 1 }),
    ).toEqual([
      { pointer: '/name', detail: 'must be string' },
      { pointer: '/list/1/a~1b~0c', detail: 'must be number' },
      { pointer: '/secret', detail: 'is not a known member' },
    ])
    expect(faultsOf({})).toEqual([{ pointer: '/name', detail: 'is required' }])
    expect(faultsOf(7)).toMatchObject([{ pointer: '' }])
  })
  test('never repeats what was received', () => {
    for (const input of [
      { name: 'hunter2' },
      { name: 'a', kind: 'hunter2' },
      { name: 'a', list: 'hunter2' },
      'hunter2',
      ['hunter2'],
    ])
      expect(JSON.stringify(faultsOf(input))).not.toContain('hunter2')
  })
  test('stops at twenty places', () => {
    const list = Array.from({ length: 50 }, () => ({ 'a/b~c': 'x' }))
    expect(faultsOf({ name: 'a', list })).toHaveLength(20)
  })
})

describe('words', () => {
  test.each([
    ['2090-01-02T03:04:05Z', '2090-01-02T03:04:05.000Z'],
    ['2090-01-02T03:04:05.678+02:00', '2090-01-02T01:04:05.678Z'],
    ['2092-02-29T00:00:00Z', '2092-02-29T00:00:00.000Z'],
  ])('take the time %s for %s', (text, time) => {
    expect(v.parse(Timestamp, text)).toBe(time)
  })
  test.each([
    '2090-02-29T00:00:00Z',
    '2090-13-01T00:00:00Z',
    '2090-01-01',
    'now',
    '2090-01-01T25:00:00Z',
  ])('take %s for no time', (text) => {
    expect(v.is(Timestamp, text)).toBe(false)
  })
  test('take ids and slugs for references, and nothing else', () => {
    for (const text of ['acme', 'a', 'a-b', 'org_01h2xcejqtf2nbrexx3vqjhp41'])
      expect(v.is(Reference, text)).toBe(true)
    for (const text of ['', 'A', 'a b', 'a\u0000', '-a', '\ud800', 'x'.repeat(65), 'a/b'])
      expect([text, v.is(Reference, text)]).toEqual([text, false])
  })
  test('take for attributes what PostgreSQL can store', () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) })
    for (const attributes of [
      {},
      { a: '\\u0000' },
      { a: '\\\\ud800' },
      { '😀': ['é'] },
      nested(20),
    ])
      expect(v.is(Attributes, attributes)).toBe(true)
    for (const attributes of [
      { a: '\u0000' },
      { '\ud800': 1 },
      { a: ['\udc00'] },
      nested(22),
      [],
      null,
    ])
      expect(v.is(Attributes, attributes)).toBe(false)
  })
})
