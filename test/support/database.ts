import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { inject } from 'vitest'
import {
  type ConnectOptions,
  connect,
  type DatabaseTarget,
  type Sql,
} from '../../src/platform/db/connect.ts'
import { startEmbedded } from '../../src/platform/db/embedded.ts'
import type { Template } from './template.ts'

/** A migrated, otherwise empty database that no other test file sees. */
export type TestDatabase = {
  sql: Sql
  /** What `connect` takes, for a test that needs a pool of its own. */
  target: DatabaseTarget
  drop: () => Promise<void>
}

/** Opens a database on the server that TEST_DATABASE names: call it in `beforeAll`, `drop` in `afterAll`. */
export const openTestDatabase = async (options: ConnectOptions = {}): Promise<TestDatabase> => {
  const template = inject('template')
  const { target, remove } = await copy(template)
  const sql = connect(target, options)
  const drop = async () => {
    await sql.end({ timeout: 5 })
    await remove()
  }
  return { sql, target, drop }
}

const copy = async (
  template: Template,
): Promise<{ target: DatabaseTarget; remove: () => Promise<void> }> => {
  if (template.kind === 'none') throw new Error(template.skip)
  if (template.kind === 'postgres') {
    const name = `latchkey_test_${process.pid}_${randomBytes(4).toString('hex')}`
    await asAdministrator(template.url, `create database ${name} template ${template.name}`)
    return {
      target: { url: within(template.url, name) },
      remove: () => asAdministrator(template.url, `drop database ${name} with (force)`),
    }
  }
  const archive = new Blob([await readFile(template.archive)])
  const server = await startEmbedded({ dataDir: null, loadDataDir: archive })
  return { target: server.target, remove: () => server.stop() }
}

/** The URL of another database on the same server. */
export const within = (url: string, name: string) =>
  Object.assign(new URL(url), { pathname: `/${name}` }).href

/** One statement on a connection of its own: a database is made and dropped outside transactions. */
export const asAdministrator = async (url: string, statement: string) => {
  const sql = connect({ url }, { connectionsMax: 1 })
  try {
    await sql.unsafe(statement)
  } finally {
    await sql.end({ timeout: 5 })
  }
}
