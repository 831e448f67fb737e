import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { complete, type Lock, missingOptional } from './complete-lock.ts'

const lock: Lock = {
  packages: {
    '': {},
    'node_modules/tool': {
      version: '2.0.0',
      dev: true,
      optionalDependencies: { 'tool-linux-x64-gnu': '2.0.0', 'tool-darwin-arm64': '2.0.0' },
    },
    'node_modules/tool-linux-x64-gnu': { version: '2.0.0', dev: true, optional: true },
    'node_modules/a/node_modules/@b/c': { optionalDependencies: { 'd-win32-x64': '1.0.0' } },
    'node_modules/a/node_modules/d-win32-x64': { optional: true },
  },
}

test('the lock file names the packages of every platform', () => {
  const path = new URL('../../package-lock.json', import.meta.url)
  const missing = missingOptional(JSON.parse(readFileSync(path, 'utf8')))
  expect(missing.length, 'npm ci refuses this lock file: node test/support/complete-lock.ts').toBe(
    0,
  )
})

test('finds what a lock file leaves out, wherever it would be looked for', () => {
  expect(missingOptional(lock)).toEqual([
    { name: 'tool-darwin-arm64', version: '2.0.0', dev: true },
  ])
})

test('adds it with the platform that its name tells', () => {
  const completed = complete(lock)
  expect(missingOptional(completed)).toEqual([])
  expect(completed.packages['node_modules/tool-darwin-arm64']).toEqual({
    ...{ version: '2.0.0', dev: true, optional: true },
    ...{ os: ['darwin'], cpu: ['arm64'] },
  })
})

test('refuses to guess a version', () => {
  const packages = { 'node_modules/a': { optionalDependencies: { 'b-linux-x64': '^1.0.0' } } }
  expect(() => complete({ packages })).toThrow('no exact version')
})
