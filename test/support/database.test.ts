import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../src/platform/db/connect.ts'
import { isMigrated } from '../../src/platform/db/migrate.ts'
import { readMigrations } from '../../src/platform/db/migrations.ts'
import { openTestDatabase, type TestDatabase } from './database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await openTestDatabase()
})
afterAll(() => database.drop())

test('is the database that the project names', async () => {
  const [row] = await database.sql<{ version: string }[]>`select version()`
  expect(row?.version.includes('PGlite')).toBe(process.env.TEST_DATABASE === 'embedded')
})

test('is migrated before the first test', async () => {
  expect(await isMigrated(database.sql, await readMigrations())).toBe(true)
})

test('shares nothing with the database of another test', async () => {
  const other = await openTestDatabase()
  try {
    await other.sql`create table only_there (id int)`
    const tables = await database.sql`
      select from pg_tables where tablename = 'only_there'`
    expect(tables).toHaveLength(0)
  } finally {
    await other.drop()
  }
})

test('lets a test open a pool of its own', async () => {
  const pool = connect(database.target, { connectionsMax: 2 })
  try {
    expect(await pool`select 1 as one`).toEqual([{ one: 1 }])
  } finally {
    await pool.end({ timeout: 5 })
  }
})
