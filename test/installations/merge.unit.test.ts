import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mergeThree } from '../../src/installations/merge.ts'

const node = (id: string, more: object = {}) => ({ id, ...more })
const flow = (...nodes: object[]) => ({ nodes })

describe('three states of a definition', () => {
  test('what only one side changed is taken, wherever it stands', () => {
    const base = flow(node('a', { text: 'hi', size: 1 }), node('b'))
    const theirs = flow(node('a', { text: 'hi', size: 2 }), node('b'), node('c'))
    const ours = flow(node('b'), node('a', { text: 'hello', size: 1 }))
    const { value, conflicts } = mergeThree({ base, theirs, ours })
    expect(conflicts).toEqual([])
    expect(value).toEqual(flow(node('b'), node('a', { text: 'hello', size: 2 }), node('c')))
  })

  test('what both changed differently is named with all three values, and never guessed', () => {
    const sides = {
      base: flow(node('a/b', { text: 'x' })),
      theirs: flow(node('a/b', { text: 'y' })),
      ours: flow(node('a/b', { text: 'z' })),
    }
    const path = '/nodes/a~1b/text'
    const { value, conflicts } = mergeThree(sides)
    expect(conflicts).toEqual([{ path, base: 'x', theirs: 'y', ours: 'z' }])
    expect(value).toEqual(sides.ours)
    expect(mergeThree(sides, [{ path, take: 'theirs' }])).toEqual({
      value: sides.theirs,
      conflicts: [],
    })
    expect(mergeThree(sides, [{ path, take: 'ours' }])).toEqual({
      value: sides.ours,
      conflicts: [],
    })
    // A resolution of another place resolves nothing.
    expect(mergeThree(sides, [{ path: '/nodes', take: 'theirs' }]).conflicts).toHaveLength(1)
  })

  test('a node that one side removed and the other changed is a conflict, and either way out works', () => {
    const sides = { base: flow(node('a')), theirs: flow(), ours: flow(node('a', { text: 'mine' })) }
    const { conflicts } = mergeThree(sides)
    expect(conflicts).toEqual([
      { path: '/nodes/a', base: node('a'), theirs: null, ours: node('a', { text: 'mine' }) },
    ])
    const { path } = conflicts[0]!
    expect(mergeThree(sides, [{ path, take: 'theirs' }]).value).toEqual(flow())
    expect(mergeThree(sides, [{ path, take: 'ours' }]).value).toEqual(sides.ours)
  })

  test('names that mean something to the language are names', () => {
    const base = JSON.parse('{"__proto__": 1, "constructor": 1}')
    const theirs = JSON.parse('{"__proto__": 2, "constructor": 1}')
    const ours = JSON.parse('{"__proto__": 1, "constructor": 3}')
    const { value } = mergeThree({ base, theirs, ours })
    expect(JSON.stringify(value)).toBe('{"__proto__":2,"constructor":3}')
  })

  const json = fc.letrec((tie) => ({
    node: fc.record(
      { id: fc.constantFrom('a', 'b', 'c', 'd'), text: tie('value'), extra: tie('value') },
      { requiredKeys: ['id'] },
    ),
    nodes: fc.uniqueArray(tie('node'), {
      selector: (each) => (each as { id: string }).id,
      maxLength: 4,
    }),
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(null, 1, 2, 'x'),
      fc.array(fc.integer({ max: 2 }), { maxLength: 3 }),
      tie('members'),
    ),
    members: fc.dictionary(fc.constantFrom('k', 'l', '__proto__'), tie('value'), { maxKeys: 3 }),
    definition: fc.record({ nodes: tie('nodes'), settings: tie('value') }),
  })).definition

  test('agree with what must hold of every merge', () => {
    fc.assert(
      fc.property(json, json, json, (base, theirs, ours) => {
        // One side that changed nothing leaves the other.
        expect(mergeThree({ base, theirs: base, ours }).value).toEqual(ours)
        const taken = mergeThree({ base, theirs, ours: base })
        expect(sorted(taken.value)).toEqual(sorted(theirs))
        // Both the same is no conflict.
        expect(mergeThree({ base, theirs: ours, ours })).toEqual({ value: ours, conflicts: [] })
        // With every conflict resolved, nothing is left to ask; all resolved one way, that side is there whole in those places.
        const { conflicts } = mergeThree({ base, theirs, ours })
        for (const take of ['theirs', 'ours'] as const) {
          const resolutions = conflicts.map(({ path }) => ({ path, take }))
          expect(mergeThree({ base, theirs, ours }, resolutions).conflicts).toEqual([])
        }
        // Turned around, the same places are in conflict.
        const turned = mergeThree({ base, theirs: ours, ours: theirs }).conflicts
        expect(turned.map(({ path }) => path).toSorted()).toEqual(
          conflicts.map(({ path }) => path).toSorted(),
        )
      }),
      { numRuns: 1000 },
    )
  })
})

/** The order of nodes says nothing. */
const sorted = (value: unknown): unknown => {
  if (Array.isArray(value))
    return value.every((each) => typeof each === 'object' && each !== null && 'id' in each)
      ? value
          .map(sorted)
          .sort((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1))
      : value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, sorted(member)]))
}
