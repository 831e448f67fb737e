import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { jobsOf } from '../jobs/fixtures.ts'
import { runLine } from './console.ts'

let server: Listening
let jobs: ReturnType<typeof jobsOf>
beforeAll(async () => {
  server = await startListening()
  jobs = jobsOf(server)
})
afterAll(() => server.drop())
beforeEach(() => jobs.clear())

const line = (...args: string[]) =>
  runLine(args, { LATCHKEY_URL: server.url, LATCHKEY_KEY: server.adminKey })

test('latchkey jobs shows every queue', async () => {
  await jobs.addDead({ queue: 'email' })
  await jobs.add({ queue: 'email' })
  await jobs.add({ queue: 'email', runAt: new Date('2090-01-01T00:00:00Z') })
  await jobs.addWorker({ email: { slots: 4, running: 0 } })
  await server.sql`update jobs set run_at = now() - interval '5 minutes' where state = 'ready'`
  await server.sql`update job_queues set paused = queue = 'audit'`
  const { code, out } = await line('jobs')
  expect(code).toBe(0)
  const rows = out.split('\n').map((row) => row.split(/\s{2,}/))
  expect(rows[0]).toEqual([
    'queue',
    'waiting',
    'running',
    'dead',
    'parked',
    'oldest',
    'slots',
    'rate',
  ])
  expect(rows).toHaveLength(9)
  expect(rows).toContainEqual(['email', '2', '0', '1', '0', '5 min', '4/20', '0/s'])
  expect(out).toContain('audit (paused)')
})

test('latchkey jobs explain tells why a job waits', async () => {
  const { id, slug, keyFor } = await server.newOrganization()
  const job = await jobs.add({ organizationId: id })
  const { code, out } = await line('jobs', 'explain', job)
  expect([code, out]).toEqual([
    0,
    expect.stringContaining('ready\n  no-worker  no live worker serves the queue default\n'),
  ])
  const key = await keyFor({ permissions: ['job:read'] })
  const own = await line('jobs', 'explain', job, '-o', slug, '--key', key)
  expect([own.code, own.out]).toEqual([0, out])
  const foreign = await line('jobs', 'explain', job, '--key', key)
  expect([foreign.code, foreign.err]).toEqual([1, expect.stringContaining('job:read')])
  const none = await line('jobs', 'explain', `job_${'0'.repeat(26)}`)
  expect([none.code, none.err]).toEqual([1, 'latchkey: There is no such job.\n'])
})

test('latchkey jobs explain tells when it is expected to start', async () => {
  await jobs.addWorker()
  const runAt = '2090-01-01T00:00:00.000Z'
  const { out } = await line('jobs', 'explain', await jobs.add({ runAt: new Date(runAt) }))
  expect(out).toContain(`(until ${runAt})\nexpected to start at ${runAt}\n`)
})

test('latchkey jobs redrive tries dead jobs again', async () => {
  await jobs.addDead({ queue: 'email' })
  await jobs.addDead({ queue: 'email' })
  const dead = await jobs.addDead()
  expect(await line('jobs', 'redrive', 'email')).toEqual({
    code: 0,
    out: '2 jobs are ready again\n',
    err: '',
  })
  expect((await line('jobs', 'redrive', 'email')).out).toBe('0 jobs are ready again\n')
  expect((await server.call(`GET /v1/jobs/${dead}`)).body.state).toBe('dead')
  expect((await line('jobs', 'redrive')).err).toContain("missing required argument 'queue'")
})
