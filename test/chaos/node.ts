import { connect } from '../../src/platform/db/connect.ts'
import { createBullmqExecutor } from '../../src/platform/jobs/bullmq.ts'
import type { Log } from '../../src/platform/log.ts'
import { startTestWorkers } from '../support/jobs.ts'

// A worker process for the chaos suite: each job leaves one row, in a transaction that its own `once` guards. The table
// has no key, so that an effect made twice is seen.
const { DATABASE_URL = '', REDIS_QUEUE_URL, CHAOS_TIMES = '{}', CHAOS_LOG } = process.env

const line = (level: string) => (fields: object, message: string) =>
  CHAOS_LOG &&
  process.stderr.write(`${level} ${message} ${(fields as { err?: Error }).err?.message ?? ''}\n`)
const log: Log = {
  debug: CHAOS_LOG === 'debug' ? line('debug') : () => {},
  info: line('info'),
  warn: line('warn'),
  error: line('error'),
}

const { lockMs, ...times } = JSON.parse(CHAOS_TIMES)
const sql = connect({ url: DATABASE_URL }, { connectionsMax: 5, connectTimeoutSeconds: 2 })
const executor = REDIS_QUEUE_URL
  ? await createBullmqExecutor({ url: REDIS_QUEUE_URL, log, lockMs })
  : undefined

const workers = await startTestWorkers(
  sql,
  async (job) => {
    const { n, how } = job.payload
    if (how === 'poison') process.kill(process.pid, 'SIGKILL')
    await sql.begin(async (tx) => {
      if (await job.once(tx)) await tx`insert into chaos_effects (n) values (${n})`
    })
  },
  { log, executor, times, queues: ['default'] },
)
process.once('SIGTERM', async () => {
  await workers.stop(2000)
  await sql.end({ timeout: 1 })
})
process.stdout.write('ready\n')
