import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Line } from '../src/engine/line.ts'
import { connect } from '../src/platform/db/connect.ts'
import { loadDataset } from './dataset.ts'
import { ADMIN_KEY } from './latchkey.ts'
import { openMigrated } from './load.ts'
import { step } from './progress.ts'

/** What is to be loaded into one database. */
export type Wanted = {
  readonly name: string
  /** The PostgreSQL server in which a database of this name is made; without it the storage is embedded. */
  readonly postgresUrl?: string
  /** Organizations that are asked again and again. */
  readonly sizes: readonly number[]
  readonly questions: number
  readonly batches: number
  /** Organizations of 100 grants that are asked once. */
  readonly once: number
  readonly template?: readonly Line[]
}

/** Numbers of organizations that no mix reaches. */
const ONCE_FROM = 100_000

const createDatabase = async (postgresUrl: string, name: string) => {
  const sql = connect({ url: postgresUrl }, { connectionsMax: 1 })
  await sql.unsafe(`drop database if exists ${name}`)
  await sql.unsafe(`create database ${name}`)
  await sql.end()
  return Object.assign(new URL(postgresUrl), { pathname: `/${name}` }).href
}

/** Makes a migrated database, loads it, and knows what to ask. */
export const openLoaded = async (wanted: Wanted) => {
  const { name, postgresUrl, sizes, once, template } = wanted
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  const settings: Record<string, string> = {
    DATA_DIR: folder,
    LATCHKEY_ADMIN_KEY: ADMIN_KEY,
    DEFAULT_PLAN: 'custom',
    ...(postgresUrl ? { DATABASE_URL: await createDatabase(postgresUrl, name) } : {}),
  }
  const database = await openMigrated(settings)
  const progress = step(`load ${name}: ${sizes.length + once} organizations`, sizes.length + once)
  const { questions, batches } = wanted
  const mix = await loadDataset(database, {
    ...{ sizes, questions, batches, template },
    onProgress: (done) => progress.at(done),
  })
  const first = await loadDataset(database, {
    ...{
      sizes: Array.from({ length: once }, () => 100),
      from: ONCE_FROM,
      questions: once,
      template,
    },
    onProgress: (done) => progress.at(sizes.length + done),
  })
  progress.done()
  let isOpen = true
  const close = async () => {
    if (isOpen) await database.close()
    isOpen = false
  }
  const stop = async () => {
    await close()
    await rm(folder, { recursive: true, force: true })
  }
  return { sql: database.sql, settings, mix, first: first.questions, close, stop }
}

export type Loaded = Awaited<ReturnType<typeof openLoaded>>
