import { randomBytes } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import {
  isMigrated,
  type Migration,
  MigrationError,
  migrate,
} from '../../src/platform/db/migrate.ts'
import { readMigrations } from '../../src/platform/db/migrations.ts'
import { asAdministrator, within } from '../support/database.ts'

let sql: Sql
let url: string
const made: string[] = []

/** A database with nothing in it. */
beforeEach(async () => {
  const template = inject('template')
  if (template.kind !== 'postgres') throw new Error('this needs a server')
  const name = `latchkey_test_${process.pid}_${randomBytes(4).toString('hex')}`
  await asAdministrator(template.url, `create database ${name}`)
  url = within(template.url, name)
  sql = connect({ url })
  made.push(name)
  return () => sql.end()
})
afterAll(async () => {
  const template = inject('template')
  if (template.kind !== 'postgres') return
  for (const name of made) await asAdministrator(template.url, `drop database ${name} with (force)`)
})

const step = (name: string, text = `create table ${name} (id int)`): Migration => ({ name, text })
const [FIRST, SECOND, THIRD] = [step('a1'), step('a2'), step('a3')] as const
const tables = async () =>
  (
    await sql`select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1`
  )
    .map(({ name }) => name)
    .filter((name) => name !== 'schema_migrations')

describe('migrating', () => {
  test('applies what is missing, in the order of names, and nothing the second time', async () => {
    expect(await migrate(sql, [SECOND, FIRST])).toEqual(['a1', 'a2'])
    expect(await migrate(sql, [FIRST, SECOND])).toEqual([])
    expect(await migrate(sql, [FIRST, SECOND, THIRD])).toEqual(['a3'])
    expect(await tables()).toEqual(['a1', 'a2', 'a3'])
    expect(await isMigrated(sql, [FIRST, SECOND, THIRD])).toBe(true)
    expect(await isMigrated(sql, [FIRST, step('a4')])).toBe(false)
  })

  test('brings an empty database to what the program needs, and finds it so', async () => {
    const all = await readMigrations()
    expect(await migrate(sql, all)).toEqual(all.map(({ name }) => name))
    expect(await migrate(sql, all)).toEqual([])
  })

  test('refuses a step that was changed after it was applied', async () => {
    await migrate(sql, [FIRST, SECOND])
    const changed = migrate(sql, [step('a1', 'create table other (id int)'), SECOND, THIRD])
    await expect(changed).rejects.toThrow(MigrationError)
    await expect(changed).rejects.toThrow('a1 was changed after it was applied')
    expect(await tables()).toEqual(['a1', 'a2'])
  })

  test('refuses a database that a newer program has migrated', async () => {
    await migrate(sql, [FIRST, SECOND])
    const older = migrate(sql, [FIRST])
    await expect(older).rejects.toThrow(MigrationError)
    await expect(older).rejects.toThrow('a2 was applied to this database by a newer Latchkey')
  })

  test('refuses a step that comes before one that is applied', async () => {
    await migrate(sql, [FIRST, THIRD])
    const late = migrate(sql, [FIRST, SECOND, THIRD])
    await expect(late).rejects.toThrow(MigrationError)
    await expect(late).rejects.toThrow('a2 comes before a3')
    expect(await tables()).toEqual(['a1', 'a3'])
  })

  test('is all or nothing', async () => {
    const broken = step('a3', 'create table a3 (id int); select nothing from nowhere')
    await expect(migrate(sql, [FIRST, SECOND, broken])).rejects.toThrow('nowhere')
    expect(await tables()).toEqual([])
    expect(await migrate(sql, [FIRST])).toEqual(['a1'])
  })

  test('by several nodes at once happens once', async () => {
    const nodes = Array.from({ length: 5 }, () => connect({ url }, { connectionsMax: 1 }))
    const all = await readMigrations()
    const applied = await Promise.all(nodes.map((node) => migrate(node, all)))
    await Promise.all(nodes.map((node) => node.end()))
    const names = all.map(({ name }) => name)
    expect(applied.flat().toSorted()).toEqual(names)
    expect(applied.filter((each) => each.length > 0)).toHaveLength(1)
  })
})

describe('what is there already', () => {
  const letters = (from: number, count: number) =>
    Array.from({ length: count }, (_, n) => String.fromCodePoint(from + n)).join(' ')

  test('0037: fits into the index of words, of whatever is listed', async () => {
    const all = await readMigrations()
    await migrate(
      sql,
      all.filter(({ name }) => name < '0037'),
    )
    const organization = `org_${'0'.repeat(26)}`
    const put = (n: number, slug: string, more: object) => ({
      ...{ id: `tpl_${String(n).padStart(26, '0')}`, organization_id: organization, slug },
      ...{ category: 'other', license: 'MIT', visibility: 'public', listing: 'listed', ...more },
    })
    await sql.begin(async (tx) => {
      await tx`set local session_replication_role = replica`
      await tx`insert into organizations (id, slug, name, plan) values (${organization}, 'x', 'X', 'custom')`
      await tx`insert into publishers (organization_id, handle) values (${organization}, 'x-press')`
      await tx`insert into templates ${tx([
        put(1, 'long', {
          ...{ name: letters(0x20_000, 60), summary: letters(0x21_000, 140), tags: ['tea'] },
          integrations: Array.from({ length: 300 }, (_, n) => `service-${n}`),
        }),
        put(2, 'short', {
          name: 'Short',
          summary: 'of few words',
          tags: ['tea'],
          integrations: [],
        }),
      ])}`
    })
    await sql`update templates set terms = terms_of(category, tags, license, pricing, integrations, organization_id)`
    expect(await migrate(sql, all)).toContain('0037_words_in_order_of_popularity')
    const rows = await sql`
      select slug, length(words) as words, length(long_words) as long, cardinality(terms) as terms from templates order by slug`
    expect(rows).toEqual([
      { slug: 'long', words: 60, long: expect.any(Number), terms: 105 },
      { slug: 'short', words: 3, long: null, terms: 5 },
    ])
  })
})
