import { execFileSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyAdvice } from '../../src/indexes/build.ts'
import { approve } from '../../src/indexes/service.ts'
import { Fatal } from '../../src/platform/jobs/handler.ts'
import { onPath } from '../support/installed.ts'
import { skipped } from '../support/provided.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { advise, entryOf, indexesOf, jobOf, makeParcels, operatorOf } from './fixtures.ts'

let server: TestServer
let tiny: { folder: string } | { skip: string }
beforeAll(async () => {
  server = await startTestServer()
  await makeParcels(server.sql)
  tiny = await mountTiny()
})
afterAll(async () => {
  if ('folder' in tiny) {
    await server.sql`drop tablespace if exists latchkey_tiny`
    execFileSync(onPath('umount')!, [tiny.folder])
    rmSync(tiny.folder, { recursive: true })
  }
  await server.drop()
})

/** A disk of half a megabyte that the database may write to. */
const mountTiny = async () => {
  const [row] = await server.sql<{ dataDirectory: string }[]>`show data_directory`
  if (!existsSync(row!.dataDirectory)) return { skip: 'the database is on another machine' }
  const mount = onPath('mount')
  if (!mount) return { skip: 'there is no mount here' }
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-tiny-'))
  try {
    execFileSync(mount, ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    rmSync(folder, { recursive: true })
    return { skip: 'this account may not mount a small disk' }
  }
  const { uid, gid } = statSync(row!.dataDirectory)
  chownSync(folder, uid, gid)
  return { folder }
}

test('a disk that is full ends the build, and what was built of it is gone', async (context) => {
  if ('skip' in tiny) return context.skip(skipped(`Disk full: ${tiny.skip}.`).skip)
  const { sql } = server
  await sql.unsafe(`create tablespace latchkey_tiny location '${tiny.folder}'`)
  const [row] = await sql<{ name: string }[]>`select current_database() as name`
  const { id } = await advise(sql, { definition: 'on public.parcels (note)' })
  await approve(operatorOf(server), { recommendation: id })
  await sql.unsafe(`alter database ${row!.name} set default_tablespace = latchkey_tiny`)
  try {
    await expect(applyAdvice(jobOf(server, id, { attemptsMax: 3 }))).rejects.toBeInstanceOf(Fatal)
  } finally {
    await sql.unsafe(`alter database ${row!.name} reset all`)
  }
  expect((await entryOf(sql, id)).statusReason).toMatch(/disk is full/)
  expect((await entryOf(sql, id)).status).toBe('failed')
  expect(await indexesOf(sql)).toEqual([])
})
