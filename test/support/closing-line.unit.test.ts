import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

const MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))
const CONFIG = `
  import { closingLine } from ${JSON.stringify(new URL('./closing-line.ts', import.meta.url).href)}
  export default { test: { reporters: ['default', closingLine()] } }
`
const passing = `test('passes', () => {})`
const skipping = `test.skip('skips', () => {})`
const optional = `test('needs more', (context) => context.skip('optional: needs more'))`
const failing = `test('fails', () => { throw new Error('no') })`

test.each([
  ['passes', [passing, passing], '', 0, '2 passed, 0 failed, 0 skipped'],
  ['fails', [passing, failing], '', 1, '1 passed, 1 failed, 0 skipped'],
  ['skips', [passing, skipping], '', 0, '1 passed, 0 failed, 1 skipped'],
  ['skips with CI=true', [passing, skipping], 'true', 1, '1 passed, 0 failed, 1 skipped'],
  ['skips what is optional', [passing, optional], 'true', 0, '1 passed, 0 failed, 1 skipped'],
  ['cannot run a file', [`throw new Error('no')`], '', 1, '0 passed, 1 failed, 0 skipped'],
  [
    'meets an error outside of a test',
    [`${passing}; Promise.reject(new Error('no'))`],
    '',
    1,
    '1 passed, 1 failed, 0 skipped',
  ],
])('a run that %s ends with its counts', async (_, lines, ci, code, closing) => {
  const { status, output } = await run(lines.join('\n'), ci)
  expect([status, output.trimEnd().split('\n').at(-1)]).toEqual([code, closing])
})

const run = async (text: string, CI: string) => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-closing-line-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await symlink(MODULES, join(folder, 'node_modules'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(join(folder, 'vitest.config.js'), CONFIG)
  await writeFile(join(folder, 'some.test.js'), `import { test } from 'vitest'\n${text}`)
  return new Promise<{ status: number; output: string }>((resolve) => {
    const vitest = [join(MODULES, 'vitest/vitest.mjs'), 'run', '--root', folder]
    const options = { cwd: folder, env: { ...process.env, CI }, timeout: 25_000 }
    execFile(process.execPath, vitest, options, (error, stdout) =>
      resolve({ status: error ? Number(error.code) : 0, output: stdout }),
    )
  })
}
