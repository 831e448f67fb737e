import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWakeLine, type WakeLine } from '../../../src/platform/jobs/wake-line.ts'
import { silentLog } from '../../../src/platform/log.ts'
import { provideRedis, startRedis } from '../../support/redis.ts'
import { until } from '../../support/until.ts'

let redis: Awaited<ReturnType<typeof startRedis>>
let skip: string | undefined
const lines: WakeLine[] = []
const open = (url = redis.url) => {
  const line = openWakeLine({ url, log: silentLog })
  lines.push(line)
  return line
}

beforeAll(async () => {
  const found = await provideRedis()
  if ('skip' in found) skip = found.skip
  else {
    await found.stop()
    redis = await startRedis()
  }
})
afterAll(async () => {
  await Promise.all(lines.map((line) => line.stop()))
  await redis?.stop()
})

test('wakes other processes, gathers what comes at once, and does not wake itself', async (context) => {
  // There is no Redis to speak over; in CI a skip is a failure.
  if (skip) context.skip(skip)
  const heard: string[][] = []
  let self = 0
  const [here, there] = [open(), open()]
  here.listen(() => self++)
  there.listen((queues) => void heard.push(queues))
  await until(() => {
    here.publish(['email'])
    return heard.length > 0
  })
  await new Promise((resolve) => setTimeout(resolve, 50))
  heard.length = 0
  for (let n = 0; n < 100; n++) here.publish(['webhook', 'default'])
  await until(() => heard.length > 0)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(heard.length).toBeLessThan(5)
  expect(new Set(heard.flat())).toEqual(new Set(['webhook', 'default']))
  expect(self).toBe(0)
})

test('hears again after Redis was away, and publishing meanwhile harms nobody', async (context) => {
  // There is no Redis to speak over; in CI a skip is a failure.
  if (skip) context.skip(skip)
  let heard = 0
  const [here, there] = [open(), open()]
  there.listen(() => heard++)
  await until(() => {
    here.publish(['default'])
    return heard > 0
  })
  const back = redis.restart('SIGKILL', 500)
  for (let n = 0; n < 20; n++) {
    here.publish(['default'])
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await back
  heard = 0
  await until(() => {
    here.publish(['default'])
    return heard > 0
  }, 15_000)
})
