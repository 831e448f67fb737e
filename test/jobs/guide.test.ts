import { afterAll, beforeAll, expect, test } from 'vitest'
import { QUEUES } from '../../src/platform/jobs/queue.ts'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { runGuide } from '../support/guide.ts'
import { jobsOf } from './fixtures.ts'

let server: Listening
beforeAll(async () => {
  server = await startListening()
  // What a server that just started says of itself.
  const slots = QUEUES.map((queue) => [queue, { slots: queue === 'security' ? 2 : 1, running: 0 }])
  await jobsOf(server).addWorker(Object.fromEntries(slots))
})
afterAll(() => server.drop())

test('every command of the guide runs and prints what the guide says', async () => {
  const env = { LATCHKEY_URL: server.url, LATCHKEY_KEY: server.adminKey }
  const { commands, printed, said } = await runGuide('jobs.md', env)
  expect(commands).toBeGreaterThan(6)
  expect(printed).toEqual(said)
})
