import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readScenario, runScenario } from '../src/cli/scenarios.ts'
import { startTestServer, type TestServer } from './support/server.ts'

const FOLDER = fileURLToPath(new URL('../policies/scenarios/', import.meta.url))
const FILES = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'))

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

test.each(FILES)('policies/scenarios/%s', async (file) => {
  const scenario = readScenario(file, readFileSync(join(FOLDER, file), 'utf8'))
  const results = await runScenario(server.app, server.context, scenario)
  expect(results.filter(({ passed }) => !passed)).toEqual([])
})
