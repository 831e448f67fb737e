import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findNestingFaults } from '../../src/imports/nesting.ts'

const faultsIn = (parents: Record<string, string[]>, linksMax: number) => {
  const { cyclic, tooDeep } = findNestingFaults(new Map(Object.entries(parents)), linksMax)
  return { cyclic: [...cyclic].toSorted(), tooDeep: [...tooDeep].toSorted() }
}

/** Every path up from a name, as far as a bound; slow and plain. */
const pathsUp = (parents: ReadonlyMap<string, string[]>, name: string, most: number): string[][] =>
  most === 0
    ? [[name]]
    : [
        [name],
        ...(parents.get(name) ?? []).flatMap((parent) =>
          pathsUp(parents, parent, most - 1).map((path) => [name, ...path]),
        ),
      ]

describe('nesting', () => {
  test('may be as deep as allowed, and no deeper', () => {
    const chain = { a: [], b: ['a'], c: ['b'], alone: [] }
    expect(faultsIn(chain, 2)).toEqual({ cyclic: [], tooDeep: [] })
    expect(faultsIn(chain, 1)).toEqual({ cyclic: [], tooDeep: ['a', 'b', 'c'] })
  })

  test('never closes a circle; what hangs below or above one is not part of it', () => {
    const parents = { root: [], a: ['b', 'root'], b: ['a'], below: ['a'], self: ['self'] }
    expect(faultsIn(parents, 5).cyclic).toEqual(['a', 'b', 'self'])
  })

  test('takes names that are not listed for roots', () => {
    expect(faultsIn({ a: ['elsewhere'] }, 1)).toEqual({ cyclic: [], tooDeep: [] })
    expect(faultsIn({ a: ['elsewhere'] }, 0)).toEqual({ cyclic: [], tooDeep: ['a'] })
  })

  test('is found in a chain of a hundred thousand', () => {
    const parents = new Map(
      Array.from({ length: 100_000 }, (_, n) => [`n${n}`, n === 0 ? [] : [`n${n - 1}`]]),
    )
    expect(findNestingFaults(parents, 10).tooDeep.size).toBe(100_000)
    parents.set('n0', ['n99999'])
    expect(findNestingFaults(parents, 10).cyclic.size).toBe(100_000)
  })

  test('is judged as by walking every path', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    const graph = fc
      .tuple(...names.map(() => fc.subarray(names, { maxLength: 2 })))
      .map((lists) => new Map(names.map((name, index) => [name, lists[index]!])))
    fc.assert(
      fc.property(graph, (parents) => {
        const { cyclic, tooDeep } = findNestingFaults(parents, 2)
        const paths = names.flatMap((name) => pathsUp(parents, name, names.length))
        const inCircle = new Set(
          paths.filter((path) => path.slice(1).includes(path[0]!)).map((path) => path[0]!),
        )
        expect(inCircle.difference(cyclic).size).toBe(0)
        if (inCircle.size > 0) return
        expect(cyclic.size).toBe(0)
        const onLongPath = new Set(paths.filter((path) => path.length > 3).flat())
        expect([...tooDeep].toSorted()).toEqual([...onLongPath].toSorted())
      }),
      { numRuns: 300 },
    )
  })
})
