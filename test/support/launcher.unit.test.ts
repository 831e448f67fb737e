import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const LAUNCHER = fileURLToPath(new URL('../../bin/latchkey.js', import.meta.url))
const INSTALLED = 'node_modules/node/bin/node'
const OLD = `Object.defineProperty(process.versions, 'node', { value: '20.20.2' })`

const source = { 'src/cli.ts': `console.log('src', ...process.argv.slice(2) as string[])` }
const built = { 'dist/cli.js': `console.log('dist')` }

test.each([
  ['the source in a checkout', { ...source, ...built }, 'src a b\n'],
  ['the build where there is no source', built, 'dist\n'],
])('runs %s', async (_, files, output) => {
  expect(await run(await checkout(files), ['a', 'b'])).toMatchObject({ code: 0, output })
})

test('says in one line that it was not built', async () => {
  const { code, errors } = await run(await checkout({}), [])
  expect([code, errors]).toEqual([1, expect.stringMatching(/^latchkey: there is neither .*\n$/)])
})

test('runs on the installed Node where the own one is too old', async () => {
  const folder = await checkout({ 'src/cli.ts': 'process.exitCode = Number(process.argv[2])' })
  await mkdir(dirname(join(folder, INSTALLED)), { recursive: true })
  await symlink(process.execPath, join(folder, INSTALLED))
  expect(await run(folder, ['7'], OLD)).toMatchObject({ code: 7, errors: '' })
})

test('says in one line that no Node is new enough', async () => {
  const { code, errors } = await run(await checkout(source), [], OLD)
  expect([code, errors]).toEqual([1, expect.stringMatching(/^latchkey: needs Node 22\.18 .*\n$/)])
})

test.each([
  ['that it handles', `process.on('SIGTERM', () => process.exit(5))`, { code: 5, signal: null }],
  ['that ends it', '', { code: null, signal: 'SIGTERM' }],
])('passes on a signal %s', async (_, handler, end) => {
  const folder = await checkout({
    'src/cli.ts': `${handler}\nsetInterval(() => {}, 1000)\nconsole.log('ready')`,
  })
  await mkdir(dirname(join(folder, INSTALLED)), { recursive: true })
  await symlink(process.execPath, join(folder, INSTALLED))
  const launcher = start(folder, [], OLD)
  await once(launcher.stdout, 'data')
  launcher.kill('SIGTERM')
  const [code, signal] = await once(launcher, 'exit')
  expect({ code, signal }).toEqual(end)
})

const checkout = async (files: Record<string, string>) => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-launcher-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await cp(LAUNCHER, join(folder, 'bin/latchkey.js'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
  return folder
}

/** Starts the launcher; a preamble stands for another Node. */
const start = (folder: string, parameters: string[], preamble = '') =>
  spawn(process.execPath, [
    `--import=data:text/javascript,${encodeURIComponent(preamble)}`,
    join(folder, 'bin/latchkey.js'),
    ...parameters,
  ])

const run = async (...launch: Parameters<typeof start>) => {
  const launcher = start(...launch)
  const [output, errors, [code]] = await Promise.all([
    text(launcher.stdout),
    text(launcher.stderr),
    once(launcher, 'exit'),
  ])
  return { code, output, errors }
}
