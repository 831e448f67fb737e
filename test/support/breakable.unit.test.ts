import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from 'redis'
import { expect, test } from 'vitest'
import { provideRedis, startRedis } from './redis.ts'

test('a server that is killed comes back at the same place, without what it did not keep', async (context) => {
  const found = await provideRedis()
  // There is no Redis to break; in CI a skip is a failure.
  if ('skip' in found) return context.skip(found.skip)
  await found.stop()
  const server = await startRedis()
  const ask = async <Answer>(question: (client: ReturnType<typeof createClient>) => Answer) => {
    const client = createClient({ url: server.url })
    await client.connect()
    try {
      return await question(client as never)
    } finally {
      client.destroy()
    }
  }
  try {
    await ask((client) => client.set('here', 'yes'))
    const startedAtMs = Date.now()
    await server.restart('SIGKILL', 200)
    expect(Date.now() - startedAtMs).toBeGreaterThanOrEqual(200)
    expect(await ask((client) => client.get('here'))).toBeNull()
    await server.signal('SIGSTOP')
    const frozen = createClient({ url: server.url, socket: { reconnectStrategy: false } })
    frozen.on('error', () => {})
    const answer = frozen.connect().then(() => frozen.ping())
    answer.catch(() => {})
    expect(await Promise.race([answer, sleep(300, 'no answer')])).toBe('no answer')
    frozen.destroy()
  } finally {
    await server.stop()
  }
})
