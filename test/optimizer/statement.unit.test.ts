import { describe, expect, test } from 'vitest'
import { readStatement } from '../../src/optimizer/statement.ts'
import { createSqlParser } from '../../src/platform/node/sql-parser.ts'
import { ATTACKS, HARMLESS } from './attacks.ts'

const parser = createSqlParser()
const read = (query: string) => readStatement(parser, query)

describe('a query is refused before the database hears of it', () => {
  test.each(ATTACKS)('for %s', async (_, query, code) => {
    await expect(read(query)).rejects.toMatchObject({
      kind: 'unprocessable',
      code,
      extras: { errors: [{ pointer: '/query' }] },
    })
  })

  test('and told where', async () => {
    const detailOf = (query: string) =>
      read(query).catch(({ detail }: { detail: string }) => detail)
    expect(await detailOf(`select 'é',\n  pg_sleep(1)`)).toMatch(/pg_sleep .*\(line 2, column 3\)/)
    expect(await detailOf(`select 'é', 'ü', pg_sleep(1)`)).toMatch(/\(line 1, column 18\)/)
    expect(await detailOf('select 1 frm t')).toMatch(/line 1, column 14/)
    expect(await detailOf(`select 'secret' 'another' from`)).not.toContain('secret')
  })

  test.each([
    ['brackets', `select ${'('.repeat(4000)}1${')'.repeat(4000)}`],
    ['negations', `select ${'not '.repeat(2400)}true`],
    ['sums', `select 1${'+1'.repeat(4900)}`],
    ['selects', `select * from ${'(select * from '.repeat(480)}grants${') x'.repeat(480)}`],
  ])('or lived through if it is deep: %s', async (what, query) => {
    const outcome = read(query).then(
      () => 'read',
      ({ code }: { code: string }) => code,
    )
    expect(what === 'brackets' ? ['read'] : ['query-refused', 'query-malformed']).toContain(
      await outcome,
    )
    expect((await read('select 1')).parametersMax).toBe(0)
  })
})

describe('a query is read', () => {
  test.each(HARMLESS)('with %s', async (_, query) => {
    expect(await read(query)).toMatchObject({ text: query })
  })

  test('as the same whatever its constants, comments and blanks', async () => {
    const fingerprint = async (query: string) => (await read(query)).fingerprint
    const first = await fingerprint('select id from grants where id = 1')
    expect(await fingerprint('SELECT id /* x */ FROM grants  WHERE id = 2')).toBe(first)
    expect(await fingerprint('select id from roles where id = 1')).not.toBe(first)
  })

  test('with the kinds of its constants, of which the fingerprint knows nothing', async () => {
    const [whole, broken] = [
      await read('select from t where id = 1'),
      await read('select from t where id = 1.0'),
    ]
    expect(whole.fingerprint).toBe(broken.fingerprint)
    expect(whole.constants).not.toBe(broken.constants)
  })

  test.each([
    ['rows that change', 'delete from grants'],
    ['rows that change in WITH', 'with x as (delete from grants returning id) select * from x'],
    ['rows that are locked', 'select id from grants for share'],
    ['rows that are locked below', 'select * from (select id from grants for update) x'],
  ])('and never run for %s', async (_, query) => {
    expect((await read(query)).notRun).toMatch(/would change|lock rows/)
  })
})
