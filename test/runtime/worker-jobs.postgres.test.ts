import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'
import { startWorkerd, type Workerd } from '../support/workerd.ts'

let node: TestServer
let worker: Workerd

const QUEUE = `
[[queues.producers]]
binding = "JOBS"
queue = "latchkey-jobs"
[[queues.consumers]]
queue = "latchkey-jobs"
max_batch_size = 10
max_batch_timeout = 1
`

beforeAll(async () => {
  node = await startTestServer()
  worker = await startWorkerd((node.database.target as { url: string }).url, QUEUE)
}, 90_000)
afterAll(async () => {
  await worker?.stop()
  await node.drop()
})

test('jobs travel through Cloudflare Queues as ids, and end once', async () => {
  await worker.trigger()
  await node.sql`update job_schedules set seen_until = now() - interval '2 hours' where name = 'organizations.end-deleted'`
  const { id, path } = await node.newOrganization()
  await node.call(`DELETE ${path}`)
  await node.sql`update organizations set delete_after = now() - interval '1 day' where id = ${id}`
  await worker.trigger()
  await until(
    async () => (await node.sql`select 1 from organizations where id = ${id}`).length === 0,
    20_000,
  )
  const done = () => node.sql`
    select executor, deliveries, result from finished_jobs where name = 'organizations.end-deleted'`
  await until(async () => (await done()).length === 1)
  expect([...(await done())]).toEqual([
    { executor: 'cloudflare', deliveries: 1, result: { ended: 1 } },
  ])
  const [event] =
    await node.sql`select event from audit_events where resource = ${`organization:${id}`} order by id desc`
  expect(event).toEqual({ event: 'organization.ended' })
}, 60_000)
