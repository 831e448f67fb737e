import { Util } from 'casbin'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  decodeId,
  decodeTyped,
  encodeAction,
  encodeId,
  encodeTyped,
} from '../../src/engine/encoding.ts'

/** Ids full of what means something to Casbin, to URLs or to CSV, and of what is no valid text. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc
    .array(
      fc.constantFrom(
        ...['a', 'b', '*', '/', ':', ',', '%', '%2F', '%2f', '|', '.', '😀', 'é', 'e\u0301'],
        ...['\0', '\n', '"', "'", '(', ' ', '\ud83d', '\ude00', '\uffff', '߿', 'ࠀ'],
      ),
      { maxLength: 6 },
    )
    .map((parts) => parts.join('')),
)

const RUNS = { numRuns: 20_000 }

test('makes words that hold nothing Casbin could misread, and the ids from them again', () => {
  fc.assert(
    fc.property(hostile, (id) => {
      const word = encodeId(id)
      expect(word).toMatch(/^(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*$/)
      expect(decodeId(word)).toBe(id)
      expect(decodeTyped(encodeTyped(id))).toBe(id)
      expect(decodeTyped(encodeAction(id))).toBe(id)
    }),
    RUNS,
  )
})

test('keeps different ids apart, for equality and for prefixes', () => {
  const pairs = fc.tuple(hostile, hostile)
  fc.assert(
    fc.property(pairs, ([left, right]) => {
      const [asked, held] = [encodeId(left), encodeId(right)]
      expect(Util.keyMatchFunc(asked, held)).toBe(left === right)
      // Half a surrogate pair begins a character in JavaScript's eyes; the API refuses it.
      if (right.isWellFormed())
        expect(Util.keyMatchFunc(`t:${asked}`, `t:${held}*`)).toBe(left.startsWith(right))
      expect(encodeTyped(left) === encodeTyped(right)).toBe(left === right)
      expect(encodeAction(left) === encodeAction(right)).toBe(left === right)
    }),
    RUNS,
  )
})

test('never lets the resources of one place look like another place', () => {
  const part = hostile.filter((text) => text !== '')
  fc.assert(
    fc.property(part, part, part, part, (organization, other, type, id) => {
      const asked = `/${encodeId(organization)}/${encodeId(type)}:${encodeId(id)}`
      expect(Util.keyMatchFunc(asked, `/${encodeId(other)}/*`)).toBe(organization === other)
      expect(Util.keyMatchFunc(asked, `/${encodeId(organization)}/${encodeId(other)}/*`)).toBe(
        false,
      )
    }),
    { numRuns: 5000 },
  )
})

test('writes the bytes of UTF-8 in upper case, and leaves plain ids as they are', () => {
  expect(encodeId('org_01h455vb4pex5vsknk084sn02q')).toBe('org_01h455vb4pex5vsknk084sn02q')
  expect(encodeId('auth0|alice@example.com')).toBe('auth0%7Calice%40example.com')
  expect(encodeId("a*b!('é😀")).toBe('a%2Ab%21%28%27%C3%A9%F0%9F%98%80')
  expect(encodeTyped('user:a:b')).toBe('user:a%3Ab')
  expect(encodeTyped('no colon')).toBe('no%20colon')
  expect(encodeAction('billing:update now')).toBe('billing:update%20now')
})

test('leaves text that is no word of its own as it is', () => {
  expect(decodeId('100%')).toBe('100%')
  expect(decodeId('%2f')).toBe('%2f')
  expect(decodeId('%E2%82')).toHaveLength(1)
})
