import { expect, test } from 'vitest'
import { seal, sealKey, unseal } from '../../src/platform/crypto/seal.ts'

const key = await sealKey('ab'.repeat(32))

test('opens what it sealed, and seals the same text differently each time', async () => {
  const sealed = await seal(key, 'webhook:1', 'whsec_Ünicode')
  expect(sealed).not.toContain('nicode')
  expect(await unseal(key, 'webhook:1', sealed)).toBe('whsec_Ünicode')
  expect(await seal(key, 'webhook:1', 'whsec_Ünicode')).not.toBe(sealed)
})

test('opens nothing for another home, with another key, or altered', async () => {
  const sealed = await seal(key, 'webhook:1', 'secret')
  await expect(unseal(key, 'webhook:2', sealed)).rejects.toThrow()
  await expect(unseal(await sealKey('cd'.repeat(32)), 'webhook:1', sealed)).rejects.toThrow(
    'another key',
  )
  const altered = `${sealed.slice(0, -2)}${sealed.endsWith('A') ? 'BB' : 'AA'}`
  await expect(unseal(key, 'webhook:1', altered)).rejects.toThrow()
})

test('opens what was sealed before a rotation, seals with the new key, and nothing older', async () => {
  const [first, second] = ['ab'.repeat(32), 'cd'.repeat(32)]
  const rotated = await sealKey(second, first)
  const before = await seal(await sealKey(first), 'webhook:1', 'old')
  const after = await seal(rotated, 'webhook:1', 'new')
  expect(await unseal(rotated, 'webhook:1', before)).toBe('old')
  expect(await unseal(rotated, 'webhook:1', after)).toBe('new')
  await expect(unseal(rotated, 'webhook:2', before)).rejects.toThrow()
  await expect(unseal(await sealKey(first), 'webhook:1', after)).rejects.toThrow('another key')
  const older = await seal(await sealKey('ef'.repeat(32)), 'webhook:1', 'older')
  await expect(unseal(rotated, 'webhook:1', older)).rejects.toThrow('another key')
})
