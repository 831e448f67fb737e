import { afterAll, beforeAll, expect, test } from 'vitest'
import { inOrganization, inPlatform } from '../../../src/platform/db/transaction.ts'
import { openTestDatabase, type TestDatabase } from '../../support/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.drop())

test('the very first query of a transaction has its role and its organization, however many run at once', async () => {
  const { sql } = database
  const ask = async (n: number) => {
    const organizationId = `org_${n}`
    const [row] = await inOrganization(
      { sql, organizationId },
      (tx) => tx<{ role: string; organization: string }[]>`
        select current_user::text as role, current_organization() as organization`,
    )
    const [platform] = await inPlatform(
      sql,
      (tx) => tx<{ role: string; organization: string }[]>`
        select current_user::text as role, current_organization() as organization`,
    )
    return [row, platform]
  }
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => ask(n)))
  for (const [n, answer] of answers.entries())
    expect(answer).toEqual([
      { role: 'latchkey_app', organization: `org_${n}` },
      { role: 'latchkey_platform', organization: null },
    ])
})

test('where the role cannot be taken, nothing of the work is done', async () => {
  const { sql } = database
  await sql`create table if not exists entered (n int)`
  const broken = { sql, organizationId: null as unknown as string }
  // An organization that is no text makes the settings fail; the work behind them must fail, too.
  await expect(
    inOrganization(
      { ...broken, organizationId: '\u0000' },
      (tx) => tx`insert into entered values (1)`,
    ),
  ).rejects.toThrow()
  expect(await sql`select n from entered`).toHaveLength(0)
})
