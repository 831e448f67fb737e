import { expect, test } from 'vitest'
import { connect } from '../../../src/platform/db/connect.ts'
import { openTestDatabase } from '../../support/database.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

test('a transaction whose connection was closed writes nothing more, not even on the next connection', async () => {
  const database = await openTestDatabase()
  const { sql } = database
  const own = connect(database.target, { connectionsMax: 1 })
  await sql`create table written (n int)`
  let late: unknown
  const outcome = own.begin(async (tx) => {
    const [row] = await tx`select pg_backend_pid() as pid`
    await tx`insert into written values (1)`
    await sql`select pg_terminate_backend(${row!.pid})`
    await pause(300)
    await own`select 1`.catch(() => own`select 1`)
    late = await tx`insert into written values (2)`.catch((error: unknown) => error)
    throw new Error('too late')
  })
  await expect(outcome).rejects.toMatchObject({ code: 'CONNECTION_CLOSED' })
  await pause(1000)
  expect(late).toMatchObject({ code: 'CONNECTION_CLOSED' })
  expect(await sql`select n from written`).toHaveLength(0)
  await own.end({ timeout: 0 })
  await database.drop()
})
