import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { runGuide } from '../support/guide.ts'

let server: Listening
beforeAll(async () => {
  server = await startListening()
})
afterAll(() => server.drop())

test('every command of the guide runs and prints what the guide says', async () => {
  const env = { LATCHKEY_URL: server.url, LATCHKEY_KEY: server.adminKey }
  const { commands, printed, said } = await runGuide('plans-and-usage.md', env)
  expect(commands).toBeGreaterThan(6)
  expect(printed).toEqual(said)
})
