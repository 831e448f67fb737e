import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, mkdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { openShadow } from '../../src/platform/db/shadow/open.ts'
import { ShadowError, type ShadowShape } from '../../src/platform/shadow.ts'
import { until } from '../support/until.ts'

const SHAPE: ShadowShape = {
  searchPath: ['public'],
  isBytewise: true,
  settings: { join_collapse_limit: '20', from_collapse_limit: '20', geqo: 'off' },
  extensions: ['pg_trgm'],
  steps: [
    { what: 'an index before its table', statements: ['create index a_first on a (x)'] },
    {
      what: 'a',
      statements: ['create table a (x int, y nothing)'],
      otherwise: ['create table a (x int, y text)'],
    },
    { what: 'what nobody has', statements: ['create table b (x nothing)'] },
    { what: 'pg_trgm', statements: ['create extension pg_trgm'] },
  ],
  relations: [
    // More than a gibibyte, so that its file has a second part.
    {
      schema: 'public',
      name: 'a',
      pages: 200_000,
      countedPages: 200_000,
      rows: 20_000_000,
      allVisiblePages: 0,
      levels: 0,
    },
    {
      schema: 'public',
      name: 'a_first',
      pages: 55_000,
      countedPages: 55_000,
      rows: 20_000_000,
      allVisiblePages: 0,
      levels: 2,
    },
  ],
  statistics: [
    {
      schemaname: 'public',
      relname: 'a',
      attname: 'x',
      inherited: false,
      null_frac: 0,
      avg_width: 4,
      n_distinct: -1,
      histogram_bounds: '{1,10000000,20000000}',
      correlation: 0,
    },
    { schemaname: 'public', relname: 'a', attname: 'nothing', inherited: false, null_frac: 0 },
  ],
}
const question = (text: string) => ({ text, parametersMax: 0, visible: [], hidden: [] })

const open: Awaited<ReturnType<typeof openShadow>>[] = []
const start = async (...given: Parameters<typeof openShadow>) => {
  const shadow = await openShadow(...given)
  open.push(shadow)
  return shadow
}
afterAll(() => Promise.all(open.map((shadow) => shadow.close())))

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('makes what can be made, tells the rest, and believes that it is full', async () => {
  const shadow = await start(SHAPE)
  expect(shadow.failed.map(({ what }) => what)).toEqual([
    'a, as it is',
    'what nobody has',
    'statistics of a.nothing',
  ])
  expect(statSync(shadow.folder()).mode & 0o777).toBe(0o700)
  const all = await shadow.explain(question('select * from a'))
  expect(all['Plan Rows']).toBe(20_000_000)
  const one = await shadow.explain(question('select * from a where x = 5'))
  expect(one).toMatchObject({ 'Node Type': 'Index Scan', 'Startup Cost': 0.44 })
  // The least and the greatest are looked for in the index itself, which is as high as it says and empty.
  for (const sign of ['<', '>'])
    expect(
      await shadow.explain(question(`select x from a where x ${sign} 0 order by x`)),
    ).toHaveProperty('Total Cost')
  const added = {
    name: 'added',
    statement: 'create index added on a (y)',
    table: { schema: 'public', name: 'a' },
    parts: [{ schema: 'public', name: 'a', pages: 70_000, rows: 20_000_000, levels: 2 }],
  }
  const impossible = {
    ...added,
    name: 'none',
    statement: 'create index none on a (no_such_column)',
  }
  expect(await shadow.add([impossible, added])).toEqual([
    { refused: expect.stringContaining('no_such_column') },
    ['public.added'],
  ])
  expect((await shadow.explain(question('select * from a')))['Total Cost']).toBe(all['Total Cost'])
  // So often that what was written in the catalogs is cleaned away meanwhile.
  const byKey = { ...question('select * from a where y is null'), visible: ['added'] }
  const found = (await shadow.explain(byKey))['Total Cost']
  for (let turn = 0; turn < 400; turn++) {
    await shadow.explain({ ...byKey, visible: [] })
    if (turn % 50 === 0) expect((await shadow.explain(byKey))['Total Cost']).toBe(found)
    else await shadow.explain(byKey)
  }
  await shadow.close()
  expect(existsSync(shadow.folder())).toBe(false)
  await expect(shadow.explain(question('select 1'))).rejects.toThrow(ShadowError)
})

const OPEN = fileURLToPath(new URL('../../src/platform/db/shadow/open.ts', import.meta.url))
/** Runs a process of its own that can open shadows. */
const run = (script: string) =>
  spawn(process.execPath, [
    ...['--input-type=module', '-e'],
    `import { globSync, rmSync } from 'node:fs'
     import { tmpdir } from 'node:os'
     import { join } from 'node:path'
     import { openShadow } from '${OPEN}'
     const shape = ${JSON.stringify(SHAPE)}
     ${script}`,
  ])
/** What processes keep for the shadows that they open later. */
const foldersOf = (pid: number | undefined) =>
  globSync(join(tmpdir(), `latchkey-shadow-new-${pid}-*`))

test('a second one begins as a copy of a new database, which may be lost and is gone with the process that kept it', async () => {
  const nobody = run('')
  await once(nobody, 'exit')
  const left = join(tmpdir(), `latchkey-shadow-new-${nobody.pid}-left`)
  mkdirSync(left)
  const two = run(`
    const first = await openShadow(shape)
    const { explain, failed, close } = await openShadow(shape)
    const { 'Plan Rows': rows } = await explain(${JSON.stringify(question('select * from a'))})
    const [kept] = globSync(join(tmpdir(), 'latchkey-shadow-new-' + process.pid + '-*'))
    // Somebody tidies up, half of it and all of it.
    rmSync(join(kept, 'bytewise', 'global'), { recursive: true })
    const third = await openShadow(shape).catch(() => 'refused')
    const fourth = await openShadow(shape)
    rmSync(join(kept, 'bytewise'), { recursive: true })
    const fifth = await openShadow(shape)
    await Promise.all([first, fourth, fifth].map((each) => each.close()).concat(close()))
    console.log(JSON.stringify([failed.length, rows, third]))`)
  const said = text(two.stdout)
  await until(() => foldersOf(two.pid).length === 1, 20_000)
  // Of a process that is no more: whoever keeps something looks for it.
  await until(() => !existsSync(left))
  expect(JSON.parse(await said)).toEqual([3, 20_000_000, 'refused'])
  await until(() => foldersOf(two.pid).length === 0)
})

describe('a process that', () => {
  test('takes too long is ended, and what was added is there in the next; one that is killed leaves no folder', async () => {
    const shadow = await start(SHAPE, { questionMs: 1500 })
    const index = {
      name: 'added',
      statement: 'create index added on a (y)',
      table: { schema: 'public', name: 'a' },
      parts: [{ schema: 'public', name: 'a', pages: 70_000, rows: 20_000_000, levels: 2 }],
    }
    await shadow.add([index])
    const [pid, folder] = [shadow.pid()!, shadow.folder()]
    // Constants are computed while it plans.
    const slow = shadow.explain(
      question(
        `select length(repeat(repeat('x', 30000), 30000)) + length(repeat(repeat('y', 30000), 30000)) + length(repeat(repeat('z', 30000), 30000))`,
      ),
    )
    await expect(slow).rejects.toThrow('took longer than 1500 ms')
    await until(() => !isAlive(pid) && !existsSync(folder))
    const seen = { ...question(`select * from a where y = 'x'`), visible: ['added'] }
    expect(JSON.stringify(await shadow.explain(seen))).toContain('"added"')
    expect(shadow.pid()).not.toBe(pid)

    const next = shadow.folder()
    const waiting = shadow.explain(question('select 1'))
    process.kill(shadow.pid()!, 'SIGKILL')
    await waiting.catch((error) => expect(error).toBeInstanceOf(ShadowError))
    await until(() => !existsSync(next))
  })

  test('loses its parent ends, and takes its folder along', async () => {
    const parent = run(`const shadow = await openShadow(shape)
       console.log(JSON.stringify([shadow.pid(), shadow.folder()]))`)
    const said = await new Promise<string>((resolve) =>
      parent.stdout.once('data', (text) => resolve(String(text))),
    )
    const [pid, folder] = JSON.parse(said) as [number, string]
    expect([isAlive(pid), existsSync(folder)]).toEqual([true, true])
    expect(foldersOf(parent.pid)).toHaveLength(1)
    parent.kill('SIGKILL')
    // It looks once a second, and on a busy machine that takes its time; each by itself, to be told apart.
    await until(() => !existsSync(folder), 30_000)
    await until(() => foldersOf(parent.pid).length === 0, 30_000)
    await until(() => !isAlive(pid), 30_000)
  })

  test('cannot be made in time leaves nothing', async () => {
    await openShadow(SHAPE, { bootMs: 50 }).catch(() => {})
    const before = globSync(join(tmpdir(), 'latchkey-shadow-*')).length
    await expect(openShadow(SHAPE, { bootMs: 50 })).rejects.toThrow('took longer than 50 ms')
    expect(globSync(join(tmpdir(), 'latchkey-shadow-*')).length).toBeLessThanOrEqual(before)
  })
})
