import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRecency } from '../../../src/platform/cache/recency.ts'
import { createScatteredMap } from '../../../src/platform/cache/scattered-map.ts'

const operation = fc.record({
  kind: fc.constantFrom('get', 'set', 'set', 'set', 'delete', 'peek', 'takeOldest'),
  key: fc.integer({ min: 0, max: 30 }),
  bytes: fc.integer({ min: 1, max: 12 }),
})

test('does what a list in the order of touching would do, and pushes out the same', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 300 }), (operations) => {
      const gone: string[] = []
      const recency = createRecency<number>(40, (key) => void gone.push(key))
      let [list, listGone] = [[] as { key: string; entry: number; bytes: number }[], [] as string[]]
      for (const [turn, { kind, key: at, bytes }] of operations.entries()) {
        const key = `key ${at}`
        const known = list.find((each) => each.key === key)
        const others = list.filter((each) => each !== known)
        if (kind === 'takeOldest') {
          recency.takeOldest()
          list = list.slice(1)
        } else if (kind === 'set') {
          recency.set(key, turn, bytes)
          list = others
          while (list.reduce((sum, each) => sum + each.bytes, bytes) > 40)
            listGone.push(list.shift()!.key)
          list.push({ key, entry: turn, bytes })
        } else if (kind === 'delete') {
          expect(recency.delete(key)).toBe(known !== undefined)
          list = others
        } else {
          expect(recency[kind as 'get' | 'peek'](key)).toBe(known?.entry)
          if (kind === 'get' && known) list = [...others, known]
        }
        expect([...recency.oldestFirst()]).toEqual(list.map((each) => [each.key, each.bytes]))
        expect([...recency.entries()]).toEqual(
          list.toReversed().map((each) => [each.key, each.entry]),
        )
        expect(recency.size()).toBe(list.length)
        expect(recency.bytes()).toBe(list.reduce((sum, each) => sum + each.bytes, 0))
        expect(gone).toEqual(listGone)
      }
    }),
    { numRuns: 300 },
  )
})

test('what is larger than the room is not kept, and takes its elder with it, nothing else', () => {
  const recency = createRecency<string>(10)
  recency.set('one', 'small', 4)
  recency.set('other', 'small', 4)
  recency.set('one', 'large', 11)
  expect([...recency.entries()]).toEqual([['other', 'small']])
})

test.each([
  ['ids in front', (at: number) => `org_${at}:1p0.0-0:kmembers?limit=100&order=asc`],
  ['ids at the end', (at: number) => `org_a:1p0.0-0:kuser:${at}`],
  ['ids in long texts', () => `org_a:1p0.0-0:k${'x'.repeat(200)}${randomUUID()}${'y'.repeat(200)}`],
])('a scattered map holds few of 100,000 keys in one part: %s', (_, keyOf) => {
  const map = createScatteredMap<number>()
  const keys = Array.from({ length: 100_000 }, (_, at) => keyOf(at))
  for (const [at, key] of keys.entries()) map.set(key, at)
  expect(map.size()).toBe(100_000)
  expect(map.largestPart()).toBeLessThan(5_000)
  for (const [at, key] of keys.entries()) if (map.get(key) !== at) throw new Error(key)
  expect([map.delete(keys[5]!), map.delete(keys[5]!), map.size()]).toEqual([true, false, 99_999])
})
