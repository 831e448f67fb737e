import { afterAll, beforeAll, expect, test } from 'vitest'
import { runGuide } from '../support/guide.ts'
import { type Listening, startListening } from './fixtures.ts'

let server: Listening
beforeAll(async () => {
  server = await startListening()
})
afterAll(() => server.drop())

test('every command of the guide runs and prints what the guide says', async () => {
  const env = { LATCHKEY_URL: server.url, LATCHKEY_ADMIN_KEY: server.adminKey }
  const { commands, printed, said } = await runGuide('authzen.md', env)
  expect(commands).toBeGreaterThan(5)
  expect(printed).toEqual(said)
})
