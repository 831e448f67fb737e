import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { applyAdvice } from '../../src/indexes/build.ts'
import { reconcile } from '../../src/indexes/reconcile.ts'
import { approve } from '../../src/indexes/service.ts'
import { connect, type Sql } from '../../src/platform/db/connect.ts'
import { Fatal, LeaseLost, Postponed } from '../../src/platform/jobs/handler.ts'
import { Stopping } from '../../src/platform/jobs/run.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'
import { advise, entryOf, eventsOf, indexesOf, jobOf, makeParcels, operatorOf } from './fixtures.ts'

let server: TestServer
let sql: Sql
let other: Sql
beforeAll(async () => {
  server = await startTestServer()
  sql = server.sql
  other = connect(server.database.target, { connectionsMax: 2 })
  await makeParcels(sql)
})
afterAll(async () => {
  await other.end()
  await server.drop()
})

let nth = 0
/** Advice that is approved, each of another index; its job is run by the test itself. */
const approved = async (definition = `on public.parcels (customer, (id + ${nth++}))`) => {
  const { id, index } = await advise(sql, { definition })
  const { jobId } = await approve(operatorOf(server), { recommendation: id })
  return { id, index, jobId: jobId! }
}
const never = new AbortController().signal
const tend = () => reconcile(server.context, never)
const find = (id: string) => entryOf(sql, id)

const releases: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const release of releases.splice(0)) await release()
})

/** Somebody whose transaction has a snapshot that a concurrent build waits for. */
const holdSnapshot = async () => {
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  let begun = () => {}
  const holds = new Promise<void>((resolve) => {
    begun = resolve
  })
  const holding = other.begin('isolation level repeatable read', async (tx) => {
    await tx`select count(*) from parcels`
    begun()
    await held
  })
  await holds
  const end = async () => {
    release()
    await holding
  }
  releases.push(end)
  return end
}

/** The backend that builds an index, once it waits for the snapshots of others. */
const untilWaiting = async (phase = 'waiting for old snapshots') => {
  let pid = 0
  await until(async () => {
    const [row] = await sql<{ pid: number }[]>`
      select pid from pg_stat_progress_create_index where phase = ${phase}
        and datname = current_database()`
    pid = row?.pid ?? 0
    return pid > 0
  })
  return pid
}

describe('a transaction that stays open', () => {
  test('is waited for in vain: nothing is left, and a later approval builds it', async () => {
    const { id, index } = await approved()
    const release = await holdSnapshot()
    const building = applyAdvice(jobOf(server, id), { lockMs: 300 })
    // What the build has left cannot be dropped as long, either, so the drop waits until then.
    const failed = expect(building).rejects.toThrow(/lock timeout/)
    await untilWaiting()
    await until(async () => (await indexesOf(sql)).some(({ valid }) => !valid))
    setTimeout(release, 1500)
    await failed
    await tend()
    expect(await indexesOf(sql)).toEqual([])
    expect(await find(id)).toMatchObject({ status: 'failed', attempts: 1 })
    expect((await find(id)).statusReason).toMatch(/old transaction/)
    await approve(operatorOf(server), { recommendation: id })
    await applyAdvice(jobOf(server, id))
    expect(await indexesOf(sql)).toEqual([{ name: index, valid: true }])
    expect(await eventsOf(sql, index)).toEqual([
      ...['index.approved', 'index.failed', 'index.approved', 'index.built'],
    ])
  })

  test('for a minute is not even begun to be waited for: the job is put off', async () => {
    const { id, index } = await approved()
    const release = await holdSnapshot()
    await new Promise((resolve) => setTimeout(resolve, 1100))
    const asked = applyAdvice(jobOf(server, id), { oldSeconds: 1 })
    await expect(asked).rejects.toBeInstanceOf(Postponed)
    expect(await find(id)).toMatchObject({ status: 'approved', attempts: 0 })
    expect((await find(id)).statusReason).toMatch(/is open for \d+ s/)
    await release()
    await applyAdvice(jobOf(server, id), { oldSeconds: 1 })
    expect((await indexesOf(sql)).map(({ name }) => name)).toContain(index)
  })
})

test('who writes and does not commit is waited for in vain, too', async () => {
  const { id, index } = await approved()
  let failed: Promise<void> | undefined
  await other.begin(async (tx) => {
    await tx`update parcels set note = note where id = 1`
    failed = expect(applyAdvice(jobOf(server, id), { lockMs: 200 })).rejects.toThrow(/lock timeout/)
    await untilWaiting('waiting for writers before build')
    await until(async () => (await find(id)).statusReason !== null)
  })
  await failed
  expect(await find(id)).toMatchObject({ status: 'failed' })
  expect((await indexesOf(sql)).filter(({ name }) => name === index)).toEqual([])
})

test('a build that takes longer than it may is ended', async () => {
  const { id, index } = await approved()
  const release = await holdSnapshot()
  const failed = expect(applyAdvice(jobOf(server, id), { deadlineMs: 300 })).rejects.toThrow(Fatal)
  await until(async () => (await find(id)).statusReason !== null)
  await release()
  await failed
  expect((await find(id)).statusReason).toMatch(/longer than 300 ms/)
  expect((await indexesOf(sql)).filter(({ name }) => name === index)).toEqual([])
})

test('two workers that have the same job build once', async () => {
  const { id } = await approved()
  const release = await holdSnapshot()
  const both = [1, 2].map(() => applyAdvice(jobOf(server, id)).catch((error: unknown) => error))
  await untilWaiting()
  await until(async () => (await find(id)).status === 'creating')
  await new Promise((resolve) => setTimeout(resolve, 100))
  await release()
  const outcomes = await Promise.all(both)
  expect(outcomes).toContainEqual({ status: 'active' })
  expect(outcomes.filter((each) => each instanceof Postponed)).toHaveLength(1)
  expect(await find(id)).toMatchObject({ status: 'active', attempts: 1 })
})

describe('a build that takes long', () => {
  test('gives its slot to others, tells how far it is, and is done without its job', async () => {
    const { id, index, jobId } = await approved()
    const release = await holdSnapshot()
    const asked = applyAdvice(jobOf(server, id, { id: jobId }), { slotMs: 50 })
    await expect(asked).rejects.toBeInstanceOf(Postponed)
    const again = applyAdvice(jobOf(server, id, { id: jobId }))
    await expect(again).rejects.toThrow(/under way/)
    await until(async () => {
      const [row] =
        await sql`select progress->>'phase' as phase from recommendations where id = ${id}`
      return row!.phase === 'waiting for old snapshots'
    })
    await release()
    await until(async () => (await find(id)).status === 'active')
    expect(await indexesOf(sql)).toContainEqual({ name: index, valid: true })
    expect(await applyAdvice(jobOf(server, id, { id: jobId }))).toEqual({ status: 'active' })
  })

  test('is ended where its job is canceled, although it has no slot', async () => {
    const { id, index, jobId } = await approved()
    const release = await holdSnapshot()
    const asked = applyAdvice(jobOf(server, id, { id: jobId }), { slotMs: 50 })
    await expect(asked).rejects.toBeInstanceOf(Postponed)
    await server.call(`POST /v1/jobs/${jobId}/cancel`)
    await until(async () => (await find(id)).statusReason === 'canceled by hand')
    await release()
    await until(async () => (await find(id)).status === 'failed')
    expect((await indexesOf(sql)).filter(({ name }) => name === index)).toEqual([])
  })
})

test('an operator cancels the job: the build ends, and nothing is left', async () => {
  const { id, index, jobId } = await approved()
  const release = await holdSnapshot()
  const abort = new AbortController()
  const building = applyAdvice(jobOf(server, id, { id: jobId, signal: abort.signal }))
  const failed = expect(building).rejects.toBeInstanceOf(Fatal)
  await untilWaiting()
  await server.call(`POST /v1/jobs/${jobId}/cancel`)
  abort.abort(new LeaseLost('the job is not this worker’s any more'))
  await until(
    async () =>
      (await sql`select from pg_stat_progress_create_index where datname = current_database()`)
        .length === 0,
  )
  await release()
  await failed
  expect((await indexesOf(sql)).filter(({ name }) => name === index)).toEqual([])
  expect(await find(id)).toMatchObject({ status: 'failed', statusReason: 'canceled by hand' })
})

test('the backend that builds is killed: the build is tried again, and succeeds', async () => {
  const { id, index, jobId } = await approved()
  const release = await holdSnapshot()
  const building = applyAdvice(jobOf(server, id, { id: jobId, attemptsMax: 3 }))
  const failed = expect(building).rejects.toThrow()
  await sql`select pg_terminate_backend(${await untilWaiting()})`
  await release()
  await failed
  // The job waits for its next attempt, so nothing has failed for good.
  expect((await find(id)).status).toBe('creating')
  expect((await find(id)).statusReason).toMatch(/connection to the database was lost/)
  expect((await indexesOf(sql)).filter(({ name }) => name === index)).toEqual([])
  await applyAdvice(jobOf(server, id, { id: jobId, attempt: 2, attemptsMax: 3 }))
  expect(await indexesOf(sql)).toContainEqual({ name: index, valid: true })
  expect(await find(id)).toMatchObject({ status: 'active', attempts: 2 })
})

describe('a worker that is lost', () => {
  test('by being killed: the database goes on, and another finds what came of it', async () => {
    const { id, index, jobId } = await approved()
    const release = await holdSnapshot()
    const { url } = server.database.target as { url: string }
    const script = fileURLToPath(new URL('lonely-builder.ts', import.meta.url))
    const child = spawn(process.execPath, [script, url, id, jobId], { stdio: 'inherit' })
    const pid = await untilWaiting()
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(await find(id)).toMatchObject({ status: 'creating', attempts: 1 })
    await tend()
    const another = applyAdvice(jobOf(server, id, { id: jobId }))
    await expect(another).rejects.toBeInstanceOf(Postponed)
    expect(await untilWaiting()).toBe(pid)
    await release()
    await until(
      async () => (await applyAdvice(jobOf(server, id, { id: jobId })).catch(() => null)) !== null,
    )
    expect(await find(id)).toMatchObject({ status: 'active', attempts: 2 })
    expect(await indexesOf(sql)).toContainEqual({ name: index, valid: true })
  })

  test('leaves its build to the database; whoever takes it up waits for it and finds it done', async () => {
    const { id, index, jobId } = await approved()
    const release = await holdSnapshot()
    const abort = new AbortController()
    const building = applyAdvice(jobOf(server, id, { id: jobId, signal: abort.signal }))
    const stopped = expect(building).rejects.toBeInstanceOf(Stopping)
    await untilWaiting()
    abort.abort(new Stopping('the server stops'))
    await stopped
    await expect(applyAdvice(jobOf(server, id, { id: jobId }))).rejects.toBeInstanceOf(Postponed)
    // While it goes on, others see how far it is.
    await tend()
    const [row] = await sql`select progress from recommendations where id = ${id}`
    expect(row!.progress).toMatchObject({ phase: 'waiting for old snapshots' })
    await release()
    await until(async () =>
      (await indexesOf(sql)).some(({ name, valid }) => name === index && valid),
    )
    await until(async () => {
      await tend()
      return (await find(id)).status === 'active'
    })
    expect(await applyAdvice(jobOf(server, id, { id: jobId }))).toEqual({ status: 'active' })
  })

  test('and whose job is canceled: the build that nobody wants is ended and taken away', async () => {
    const { id, index, jobId } = await approved()
    const release = await holdSnapshot()
    const abort = new AbortController()
    const building = applyAdvice(jobOf(server, id, { id: jobId, signal: abort.signal }))
    const stopped = expect(building).rejects.toBeInstanceOf(Stopping)
    await untilWaiting()
    abort.abort(new Stopping('the server stops'))
    await stopped
    await server.call(`POST /v1/jobs/${jobId}/cancel`)
    await tend()
    await release()
    await until(async () => {
      await tend()
      return (await find(id)).status === 'failed'
    })
    expect((await indexesOf(sql)).filter(({ name }) => name === index)).toEqual([])
    expect((await find(id)).statusReason).toBe('canceled by hand')
  })

  test('with what it left invalid: the next attempt drops that and builds anew', async () => {
    const { id, index } = await approved('on public.parcels (note, id)')
    await leaveInvalid(index, 'note, id')
    await sql`update recommendations set status = 'creating', attempts = 1 where id = ${id}`
    await applyAdvice(jobOf(server, id))
    expect(await indexesOf(sql)).toContainEqual({ name: index, valid: true })
  })
})

/** An index that a concurrent build has left invalid. */
const leaveInvalid = async (name: string, keys: string) => {
  const release = await holdSnapshot()
  await other.unsafe(`set lock_timeout = '50ms'`)
  const built = other.unsafe(`create index concurrently ${name} on parcels (${keys})`, [], {
    simple: false,
  } as object)
  await expect(built).rejects.toMatchObject({ code: '55P03' })
  await other.unsafe('reset lock_timeout')
  await release()
}

test('an account that does not own the table is refused, in words', async () => {
  const { id } = await approved()
  const role = `plain_${process.pid}_${Date.now()}`
  await sql.unsafe(`create role ${role} login password 'plain'`)
  await sql.unsafe(`grant latchkey_platform to ${role}`)
  await sql.unsafe(`grant select on recommendations to ${role}`)
  const { url } = server.database.target as { url: string }
  const plain = connect({
    url: Object.assign(new URL(url), { username: role, password: 'plain' }).href,
  })
  try {
    const job = jobOf({ context: server.context, sql: plain }, id)
    await expect(applyAdvice(job)).rejects.toThrow(/does not own public\.parcels/)
  } finally {
    await plain.end()
    await sql.unsafe(`drop owned by ${role}`)
    await sql.unsafe(`drop role ${role}`)
  }
  expect((await find(id)).status).toBe('failed')
})

test('an invalid index of somebody else is shown and left alone', async () => {
  await leaveInvalid('foreign_invalid', 'status')
  await leaveInvalid('adv_foreign_invalid', 'status')
  await tend()
  const { body } = await server.call('GET /v1/optimizer/indexes?mark=invalid')
  expect(body.items.map(({ index }: { index: string }) => index).toSorted()).toEqual([
    ...['adv_foreign_invalid', 'foreign_invalid'],
  ])
  expect(body.items[0]).toMatchObject({ isValid: false, recommendation: null })
})

test('what a failed build has left is cleaned up by hand, what is valid is not', async () => {
  const { id, index } = await approved('on public.parcels (status, note)')
  await leaveInvalid(index, 'status, note')
  await sql`update recommendations set status = 'failed' where id = ${id}`
  const { status, body } = await server.call(`DELETE /v1/optimizer/indexes/${id}`)
  expect([status, body.status]).toEqual([202, 'failed'])
  const handler = server.jobs.handlers.get('indexes.clean')!
  await handler.run(jobOf(server, id) as never)
  expect((await indexesOf(sql)).filter(({ name }) => name === index)).toEqual([])
  const again = await server.call(`DELETE /v1/optimizer/indexes/${id}`)
  expect([again.status, again.body.code]).toEqual([409, 'index-not-invalid'])
  expect(await eventsOf(sql, index)).toContain('index.cleaned')
})

test('a server that may use too little room ends the build, and nothing is left', async () => {
  const { id, index } = await approved('on public.parcels (note, status, id)')
  const [{ name }] = (await sql`select current_database() as name`) as unknown as [{ name: string }]
  await sql.unsafe(`alter database ${name} set temp_file_limit = '64kB'`)
  await sql.unsafe(`alter database ${name} set maintenance_work_mem = '1MB'`)
  await sql.unsafe(`alter database ${name} set max_parallel_maintenance_workers = 0`)
  try {
    await expect(applyAdvice(jobOf(server, id))).rejects.toBeInstanceOf(Fatal)
  } finally {
    await sql.unsafe(`alter database ${name} reset all`)
  }
  expect(await find(id)).toMatchObject({ status: 'failed' })
  expect((await find(id)).statusReason).toMatch(/temporary files/)
  expect((await indexesOf(sql)).filter((each) => each.name === index)).toEqual([])
})
