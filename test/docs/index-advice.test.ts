import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWorkers, type Workers } from '../../src/platform/jobs/workers.ts'
import { silentLog } from '../../src/platform/log.ts'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { runGuide } from '../support/guide.ts'
import { onPath } from '../support/installed.ts'
import { skipped } from '../support/provided.ts'

let server: Listening
let workers: Workers
beforeAll(async () => {
  server = await startListening()
  workers = await startWorkers({
    ...server.jobs.runOptions(server.sql),
    ...{ log: silentLog, version: 'test', queues: ['analytics'], pollMs: 100 },
  })
  server.jobs.onWake((queues) => workers.wake(queues))
})
afterAll(async () => {
  await workers.stop(0)
  await server.drop()
})

test('every command of the guide to index advice runs and prints what it says', async (context) => {
  const missing = ['jq', 'curl'].filter((each) => !onPath(each))
  if (missing.length > 0) return context.skip(skipped(`no ${missing.join(', ')} here.`).skip)
  const { printed, said } = await runGuide('index-advice.md', {
    LATCHKEY_URL: server.url,
    LATCHKEY_KEY: server.adminKey,
  })
  expect(printed).toEqual(said)
})
