import { expect, test } from 'vitest'
import { join } from '../../src/platform/join.ts'

const never = new Promise<string>(() => {})
const later = (ms: number) =>
  new Promise<string>((resolve) => setTimeout(() => resolve('theirs'), ms))
const anew = async () => 'anew'

test('what another has begun is waited for, and begun anew only where that takes too long', async () => {
  expect(await join(later(5), 1000, anew)).toBe('theirs')
  expect(await join(never, 20, anew)).toBe('anew')
  expect(await join(later(60), undefined, anew)).toBe('theirs')
})

test('what fails fails for all who wait', async () => {
  await expect(join(Promise.reject(new Error('no')), 1000, anew)).rejects.toThrow('no')
})
