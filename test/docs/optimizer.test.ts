import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { runGuide } from '../support/guide.ts'
import { onPath } from '../support/installed.ts'
import { skipped } from '../support/provided.ts'

let server: Listening
beforeAll(async () => {
  server = await startListening()
  await server.sql.begin(async (tx) => {
    await tx`set local session_replication_role = replica`
    await tx`insert into organizations (id, slug, name, plan)
      select 'org_' || lpad(n::text, 26, '0'), 'guide-' || n, 'Guide', 'custom' from generate_series(1, 2000) n`
  })
  // Else the database does so by itself at some moment, and plans that are kept are forgotten then.
  await server.sql`analyze`
})
afterAll(() => server.drop())

test('every command of the guide to plans runs and prints what it says', async (context) => {
  const missing = ['jq', 'curl'].filter((each) => !onPath(each))
  if (missing.length > 0) return context.skip(skipped(`no ${missing.join(', ')} here.`).skip)
  const { commands, printed, said } = await runGuide('optimizer.md', {
    LATCHKEY_URL: server.url,
    LATCHKEY_KEY: server.adminKey,
  })
  expect(commands).toBe(4)
  expect(printed).toEqual(said)
})
