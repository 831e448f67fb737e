import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { runGuide } from '../support/guide.ts'

let server: Listening
beforeAll(async () => {
  server = await startListening()
})
afterAll(() => server.drop())

test('every command of the guide to freshness and caching runs and prints what it says', async () => {
  const { commands, printed, said } = await runGuide('caching.md', {
    LATCHKEY_URL: server.url,
    LATCHKEY_KEY: server.adminKey,
  })
  expect(commands).toBeGreaterThan(6)
  expect(printed).toEqual(said)
})
