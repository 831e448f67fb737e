import * as v from 'valibot'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { enqueue } from '../../../src/platform/jobs/enqueue.ts'
import { handle } from '../../../src/platform/jobs/handler.ts'
import { jobType } from '../../../src/platform/jobs/job-type.ts'
import { startWorkers } from '../../../src/platform/jobs/workers.ts'
import { silentLog } from '../../../src/platform/log.ts'
import { startTestServer, type TestServer } from '../../support/server.ts'
import { until } from '../../support/until.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.drop())

const exportLog = jobType('test.export', 'audit', v.strictObject({}))

test('a job in somebody’s name runs while they hold the permission, and is canceled once they do not', async () => {
  const { path, id } = await server.newOrganization()
  await server.call(`PUT ${path}/members/bob`, { roles: ['admin'] })
  const actor = { subject: 'user:bob', apiKeyId: null, organizationId: null, restrictedTo: null }
  const put = async () => {
    const options = { organizationId: id, actor, permission: 'audit:export' }
    const made = await server.sql.begin((tx) => enqueue(tx, 'audit', exportLog({}), options))
    return made.id
  }
  const subjects: string[] = []
  const run = handle(exportLog, async ({ context }) => {
    subjects.push(context.actor.subject)
    // What it does in that name is bounded by it as well.
    return {
      mayDelete: await context.access.permits(context, 'org:delete', { organizationId: id }),
    }
  })
  const start = () =>
    startWorkers({
      ...server.jobs.runOptions(server.sql),
      handlers: new Map([['test.export', run]]),
      log: silentLog,
      version: 'test',
      queues: ['audit'],
      pollMs: 50,
    })
  const ended = async (job: string) => {
    let row: Record<string, unknown> | undefined
    await until(async () => {
      ;[row] = await server.sql`select state, reason, result from finished_jobs where id = ${job}`
      return row !== undefined
    })
    return row
  }
  const first = await put()
  let workers = await start()
  expect(await ended(first)).toEqual({ state: 'done', reason: null, result: { mayDelete: false } })
  await workers.stop()

  // Revoked by another node, between the job and its start.
  const second = await put()
  const node = await startTestServer({ database: server.database })
  await node.call(`PUT ${path}/members/bob`, { roles: ['viewer'] }, { key: node.adminKey })
  workers = await start()
  expect(await ended(second)).toEqual({
    state: 'canceled',
    reason: 'user:bob does not hold audit:export any more',
    result: null,
  })
  await workers.stop()

  // And given again: what this node remembers of the refusal counts for nothing.
  await node.call(`PUT ${path}/members/bob`, { roles: ['admin'] }, { key: node.adminKey })
  const third = await put()
  workers = await start()
  expect(await ended(third)).toMatchObject({ state: 'done' })
  await workers.stop()
  expect(subjects).toEqual(['user:bob', 'user:bob'])
})
