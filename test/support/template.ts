import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import type { TestProject } from 'vitest/node'
import { connect } from '../../src/platform/db/connect.ts'
import { startEmbedded } from '../../src/platform/db/embedded.ts'
import { migrate } from '../../src/platform/db/migrate.ts'
import { readMigrations } from '../../src/platform/db/migrations.ts'
import { asAdministrator, within } from './database.ts'
import { providePostgres } from './postgres.ts'

/** One migrated database per run; each test file copies it. */
export type Template =
  | { kind: 'postgres'; url: string; name: string }
  | { kind: 'embedded'; archive: string }
  | { kind: 'none'; skip: string }

declare module 'vitest' {
  interface ProvidedContext {
    template: Template
  }
}

/** Before the first test of a project: makes the template that its TEST_DATABASE names. */
export const setup = async (project: TestProject) => {
  const embedded = project.config.env?.TEST_DATABASE === 'embedded'
  const { template, remove } = await (embedded ? makeEmbedded() : makeOnPostgres())
  project.provide('template', template)
  // Without a server no test of the project runs, and each counts as skipped.
  if (template.kind === 'none') project.config.testNamePattern = /(?!)/
  return remove
}

const makeOnPostgres = async (): Promise<{ template: Template; remove: () => Promise<void> }> => {
  const server = await providePostgres()
  if ('skip' in server)
    return { template: { kind: 'none', skip: server.skip }, remove: async () => {} }
  console.log(`tests on ${server.how}`)

  const { url } = server
  const name = `latchkey_template_${process.pid}_${randomBytes(4).toString('hex')}`
  const remove = async () => {
    await asAdministrator(url, `drop database if exists ${name} with (force)`)
    await server.stop()
  }
  try {
    await asAdministrator(url, `create database ${name}`)
    const sql = connect({ url: within(url, name) })
    await migrate(sql, await readMigrations()).finally(() => sql.end({ timeout: 5 }))
    return { template: { kind: 'postgres', url, name }, remove }
  } catch (error) {
    await remove()
    throw error
  }
}

const makeEmbedded = async (): Promise<{ template: Template; remove: () => Promise<void> }> => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-template-'))
  const remove = async () => rmSync(folder, { recursive: true, force: true })
  // An interrupted run ends without its teardown.
  process.once('exit', remove)
  try {
    const server = await startEmbedded({ dataDir: null })
    const sql = connect(server.target)
    await migrate(sql, await readMigrations()).finally(() => sql.end({ timeout: 5 }))
    const archive = join(folder, 'template.tar')
    const compressed = await server.dump()
    // A plain archive loads twice as fast as a compressed one.
    await writeFile(archive, await promisify(gunzip)(Buffer.from(await compressed.arrayBuffer())))
    await server.stop()
    return { template: { kind: 'embedded', archive }, remove }
  } catch (error) {
    await remove()
    throw error
  }
}
