import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { runLine } from './console.ts'

// On embedded storage each command starts a database of its own, which takes seconds.
vi.setConfig({ testTimeout: 180_000 })

let database: TestDatabase
let folder: string
let settings: Record<string, string>

beforeAll(async () => {
  database = await openTestDatabase()
  folder = await mkdtemp(join(tmpdir(), 'latchkey-cli-'))
  const { target } = database
  settings = {
    DATA_DIR: folder,
    AUDIT_MAC_KEY: '07'.repeat(32),
    ...('url' in target ? { DATABASE_URL: target.url } : {}),
  }
})
afterAll(async () => {
  await database.drop()
  await rm(folder, { recursive: true, force: true })
})

const line = (...args: string[]) => runLine(args, settings)

describe('latchkey on the database itself', () => {
  test('migrates it, and finds nothing to do the second time', async () => {
    const first = await line('migrate')
    expect([first.code, first.out]).toEqual([
      0,
      'DATABASE_URL' in settings ? 'nothing to do\n' : expect.stringContaining('applied 0001'),
    ])
    expect((await line('migrate')).out).toBe('nothing to do\n')
  })

  test('makes, lists and revokes operators’ keys', async () => {
    const made = await line('keys', 'create', '-n', 'monitoring', '--role', 'support')
    expect(made.code).toBe(0)
    expect(made.out).toMatch(/^lk_[0-9a-z]{26}_[\w-]{43}\n$/)
    const id = `key_${made.out.slice(3, 29)}`
    const listed = await line('keys', 'list')
    expect(listed.out).toMatch(new RegExp(`${id} +monitoring +support +never`))
    expect(listed.out).not.toContain(made.out.trim())
    expect((await line('keys', 'revoke', id)).out).toBe(`${id} is revoked\n`)
    expect((await line('keys', 'list')).out).toMatch(new RegExp(`${id} .*20\\d\\d-`))
    for (const unknown of [`key_${'0'.repeat(25)}9`, 'nonsense']) {
      const { code, err } = await line('keys', 'revoke', unknown)
      expect([code, err]).toEqual([1, "latchkey: There is no such operator's key.\n"])
    }
  })

  test('knows no other roles', async () => {
    const { code, err } = await line('keys', 'create', '--role', 'owner')
    expect([code, err]).toEqual([1, expect.stringContaining('super_admin, operator')])
  })

  test('says which setting is malformed, and not how', async () => {
    const { code, err } = await runLine(['migrate'], { DATABASE_URL: 'mysql://root:secret@x/y' })
    expect([code, err]).toEqual([1, expect.stringContaining('DATABASE_URL: must be a URL')])
    expect(err).not.toContain('secret')
  })

  test('says that the database cannot be reached', async () => {
    const { code, err } = await runLine(['migrate'], {
      DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none',
    })
    expect([code, err]).toEqual([1, expect.stringContaining('the database cannot be reached')])
  })
})
