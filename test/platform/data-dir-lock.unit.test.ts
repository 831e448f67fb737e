import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DataDirInUse, lockDataDir } from '../../src/platform/db/data-dir-lock.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-lock-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const lock = () => join(folder, 'latchkey.lock')
/** When a living process was started, as the lock remembers it. */
const startOf = async (pid: number) => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

test('a data directory is taken, and let go', async () => {
  const unlock = await lockDataDir(folder)
  expect(await readFile(lock(), 'utf8')).toMatch(new RegExp(`^${process.pid} `))
  await unlock()
  expect(await readdir(folder)).toEqual([])
})

test('one that a living process holds is refused, with its number', async () => {
  await writeFile(lock(), `${process.ppid} ${await startOf(process.ppid)}`)
  const taken = lockDataDir(folder)
  await expect(taken).rejects.toThrow(DataDirInUse)
  await expect(taken).rejects.toThrow(`${folder} is in use by process ${process.ppid}`)
})

test.each([
  ['a dead process', async () => `${spawnSync('true').pid} 1`],
  ['another process of the same number', async () => `${process.ppid} 1`],
  ['nobody', async () => ''],
  ['text', async () => 'nonsense'],
  ['process 0', async () => '0 0'],
  ['a negative number', async () => '-1 0'],
])('a lock of %s is taken over', async (_, held) => {
  await writeFile(lock(), await held())
  const unlock = await lockDataDir(folder)
  expect(await readFile(lock(), 'utf8')).toMatch(new RegExp(`^${process.pid} `))
  await unlock()
})

test('a folder that is not there is no lock', async () => {
  await expect(lockDataDir(join(folder, 'none'))).rejects.toThrow('ENOENT')
})
