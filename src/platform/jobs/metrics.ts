import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Load } from './repository.ts'

/** How the queues stand, as the database has it. */
export type Measured = {
  queues: readonly {
    queue: string
    states: Readonly<Record<string, number>>
    oldestWaitingSeconds: number | null
  }[]
  /** What the last check of the books found; undefined before the first. */
  difference: number | undefined
}

/** Milliseconds between two looks into the database, however often one asks. */
const FRESH_MS = 5000
const BUCKETS_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 300, 3600]

/** What `/metrics` tells of jobs: by queue, never by organization. */
export const createJobMetrics = (registers: Registry[]) => {
  const gauge = (
    name: string,
    help: string,
    aggregator: 'sum' | 'max',
    labelNames: string[] = ['queue'],
  ) => new Gauge({ name, help, labelNames, registers, aggregator })
  // Processes that are one server read the same in the database: it is told once, not added.
  const states = gauge('latchkey_jobs', 'Jobs that have not ended, counted up to 100,000', 'max', [
    'queue',
    'state',
  ])
  const oldest = gauge('latchkey_jobs_oldest_seconds', 'How long the oldest ready job waits', 'max')
  const slots = gauge('latchkey_jobs_slots', 'Jobs this server runs at once', 'sum')
  const wanted = gauge(
    'latchkey_jobs_slots_wanted',
    'Slots the queue needs over all processes',
    'max',
  )
  const difference = gauge(
    'latchkey_jobs_books_difference',
    'Jobs the last check could not account for; 0 is right',
    'max',
    [],
  )
  const ended = new Counter({
    name: 'latchkey_jobs_ended_total',
    help: 'Runs of this server by how they ended',
    labelNames: ['queue', 'end'],
    registers,
  })
  const seconds = new Histogram({
    name: 'latchkey_jobs_run_seconds',
    help: 'How long runs of this server took',
    labelNames: ['queue'],
    buckets: BUCKETS_SECONDS,
    registers,
  })
  let measure: (() => Promise<Measured>) | undefined
  let measuredAtMs = Number.NEGATIVE_INFINITY

  return {
    /** Names who asks the database; without it only what this process does is told. */
    measureBy: (by: () => Promise<Measured>) => {
      measure = by
    },
    /** Looks into the database, if it answers: what cannot be read is not told. */
    refresh: async () => {
      if (!measure || Date.now() - measuredAtMs < FRESH_MS) return
      measuredAtMs = Date.now()
      const measured = await measure().catch(() => undefined)
      states.reset()
      oldest.reset()
      for (const queue of measured?.queues ?? []) {
        for (const [state, count] of Object.entries(queue.states))
          states.set({ queue: queue.queue, state }, count)
        oldest.set({ queue: queue.queue }, queue.oldestWaitingSeconds ?? 0)
      }
      if (measured?.difference !== undefined) difference.set(measured.difference)
    },
    /** Called after each run. */
    ran: (queue: string, end: string, durationMs: number) => {
      ended.inc({ queue, end })
      seconds.observe({ queue }, durationMs / 1000)
    },
    /** Called with what was measured and decided about slots. */
    scaled: (loads: readonly (Load & { slots: number; wanted: number })[]) => {
      for (const load of loads) {
        slots.set({ queue: load.queue }, load.slots)
        wanted.set({ queue: load.queue }, load.wanted)
      }
    },
  }
}
