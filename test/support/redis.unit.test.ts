import { createClient } from 'redis'
import { expect, test } from 'vitest'
import { provideRedis, startRedis } from './redis.ts'

test('provides a Redis server that answers', async (context) => {
  const server = await provideRedis()
  if ('skip' in server) return context.skip(server.skip)
  const client = createClient({ url: server.url })
  try {
    await client.connect()
    expect(await client.ping()).toBe('PONG')
    client.destroy()
  } finally {
    await server.stop()
  }
}, 330_000)

test('starts one with settings of its own', async (context) => {
  const found = await provideRedis()
  if ('skip' in found) return context.skip(found.skip)
  await found.stop()
  const server = await startRedis(['maxmemory-policy allkeys-lru'])
  const client = createClient({ url: server.url })
  try {
    await client.connect()
    expect(await client.configGet('maxmemory-policy')).toEqual({
      'maxmemory-policy': 'allkeys-lru',
    })
    client.destroy()
  } finally {
    await server.stop()
  }
})
