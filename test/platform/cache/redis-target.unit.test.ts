import { expect, test } from 'vitest'
import { isSameRedis } from '../../../src/platform/cache/redis-target.ts'

test('names of one Redis are one', () => {
  expect(isSameRedis('redis://a@h', 'rediss://b@H:6379/0')).toEqual({
    isServer: true,
    isDatabase: true,
  })
  expect(isSameRedis('redis://h/1', 'redis://h')).toEqual({ isServer: true, isDatabase: false })
  expect(isSameRedis('redis://h', 'redis://i')).toEqual({ isServer: false, isDatabase: false })
})
