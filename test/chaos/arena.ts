import { type ChildProcess, spawn } from 'node:child_process'
import { once as eventOf } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import type { Sql } from '../../src/platform/db/connect.ts'
import { newId } from '../../src/platform/id.ts'
import { enqueueMany } from '../../src/platform/jobs/enqueue.ts'
import { booksOf, testJob } from '../support/jobs.ts'

const NODE = fileURLToPath(new URL('node.ts', import.meta.url))

/** Leases short enough to end while a test waits for it. */
export const TIMES = {
  leaseMs: 1500,
  heartbeatMs: 400,
  dispatchMs: 1500,
  sweepMs: 200,
  lockMs: 1500,
}

/** Worker processes that are started again whenever they end, as a supervisor does. */
export const startFleet = (size: number, environment: () => Record<string, string | undefined>) => {
  const processes = new Map<number, ChildProcess>()
  const ready = new Set<ChildProcess>()
  let [stopped, deaths] = [false, 0]
  const printed: string[] = []

  const start = (slot: number) => {
    const child = spawn(process.execPath, [NODE], {
      env: { ...process.env, CHAOS_TIMES: JSON.stringify(TIMES), ...environment() },
    })
    processes.set(slot, child)
    child.stdout.on('data', () => ready.add(child))
    child.stderr.on('data', (chunk) => printed.push(String(chunk)))
    child.once('exit', async () => {
      if (!stopped) deaths++
      ready.delete(child)
      // One that cannot start because the database is away tries again, but not at once.
      await sleep(50)
      if (!stopped) start(slot)
    })
  }
  for (let slot = 0; slot < size; slot++) start(slot)

  return {
    /** Worker processes that ended, for whatever reason. */
    deaths: () => deaths,
    printed: () => printed.join(''),
    ready: async () => {
      while (ready.size < size) await sleep(20)
    },
    /** Sends a signal to one of the processes that serve now, or to none while there is none. */
    signal: (name: NodeJS.Signals, which = 0) => {
      const child = [...ready][which % Math.max(1, ready.size)]
      child?.kill(name)
      return child
    },
    stop: async () => {
      stopped = true
      await Promise.all(
        [...processes.values()].map(async (child) => {
          if (child.exitCode !== null || child.signalCode !== null) return
          const ended = eventOf(child, 'exit')
          child.kill('SIGKILL')
          await ended
        }),
      )
    },
  }
}

const ORGANIZATIONS = Array.from({ length: 5 }, () => newId('org'))

/**
 * Adds jobs, a few with each statement, spread over a time; counts those whose commit was acknowledged. Each statement has
 * a connection of its own, because a connection of the driver that was cut may never send anything again.
 */
export const feed = async (url: string, count: number, overMs: number): Promise<number[]> => {
  const acknowledged: number[] = []
  const startedAtMs = Date.now()
  const batch = Math.max(5, Math.ceil(count / (overMs / 30)))
  let next = 0
  while (acknowledged.length < count) {
    const numbers = Array.from(
      { length: Math.min(batch, count - acknowledged.length) },
      (_, n) => next + n,
    )
    next += numbers.length
    const organizationId = ORGANIZATIONS[next % ORGANIZATIONS.length]!
    const jobs = numbers.map((n) => ({ organizationId, job: testJob({ n }) }))
    await once(url, (sql) => enqueueMany(sql, 'default', jobs)).then(
      () => acknowledged.push(...numbers),
      // Perhaps it was committed, perhaps not: nobody was told, so nobody counts on it.
      () => sleep(20),
    )
    const aheadMs = (acknowledged.length / count) * overMs - (Date.now() - startedAtMs)
    if (aheadMs > 0) await sleep(aheadMs)
  }
  return acknowledged
}

/** Does something with a connection of its own, which asks the server nothing by itself. */
export const once = async <Result>(
  url: string,
  work: (sql: Sql) => PromiseLike<Result>,
): Promise<Result> => {
  const sql = postgres(url, {
    max: 1,
    connect_timeout: 2,
    fetch_types: false,
    transform: { undefined: null },
    types: { bigint: { to: 20, from: [20], serialize: String, parse: Number } },
  })
  try {
    return await work(sql as unknown as Sql)
  } finally {
    await sql.end({ timeout: 0 })
  }
}

export type Account = {
  lost: number
  double: number
  /** Jobs that have not ended. */
  unfinished: number
  /** Numbers of the dead. */
  dead: number[]
  /** What was added and neither ended nor is there; 0 where the books add up. */
  gap: number
}

/** Compares what was acknowledged with what happened. */
export const settle = async (sql: Sql, acknowledged: readonly number[]): Promise<Account> => {
  const effects = await sql<{ n: number; times: number }[]>`
    select n, count(*)::int as times from chaos_effects group by n`
  const times = new Map(effects.map((row) => [row.n, row.times]))
  const stopped = await sql<{ n: number; state: string }[]>`
    select (payload->>'n')::int as n, state from jobs`
  const books = await booksOf(sql)
  const { added, done, canceled, buried, deleted, present } = books
  const dead = stopped.filter(({ state }) => state === 'dead').map(({ n }) => n)
  return {
    lost: acknowledged.filter((n) => !times.has(n) && !dead.includes(n)).length,
    double: effects.filter((row) => row.times > 1).length,
    unfinished: stopped.filter(({ state }) => state !== 'dead').length,
    dead,
    gap: added - done - canceled - buried - deleted - present,
  }
}

/** Waits until nothing is left to run; asks a database that may be away. */
export const untilWorkedOff = async (url: string, timeoutMs: number) => {
  const deadlineMs = Date.now() + timeoutMs
  for (;;) {
    const left = await once(
      url,
      (sql) => sql<{ left: number }[]>`
        select count(*) as left from jobs where state in ('ready', 'scheduled', 'running')`,
    ).then(
      ([row]) => row!.left,
      () => -1,
    )
    if (left === 0) return
    if (Date.now() > deadlineMs) throw new Error(`${left} jobs are left after ${timeoutMs} ms.`)
    await sleep(100)
  }
}
