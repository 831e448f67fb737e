import { afterAll, beforeAll, describe, test } from 'vitest'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { startWorkerd, type Workerd } from '../support/workerd.ts'
import { type Reached, SMOKE } from './smoke.ts'

// One suite for both runtimes, over one PostgreSQL.

let node: Listening
let worker: Workerd
const reached: Record<string, Reached> = {}

beforeAll(async () => {
  node = await startListening()
  worker = await startWorkerd((node.database.target as { url: string }).url)
  reached.Node = { url: node.url, key: node.adminKey }
  reached.workerd = { url: worker.url, key: node.adminKey }
}, 90_000)
afterAll(async () => {
  await worker?.stop()
  await node.drop()
})

describe.each(['Node', 'workerd'])('on %s the server', (runtime) => {
  test.each(Object.entries(SMOKE))('%s', (_, holds) => holds(reached[runtime]!))
})
