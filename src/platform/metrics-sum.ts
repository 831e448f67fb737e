import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client'
import type { MetricValues } from './metrics.ts'

/** Adds up what several processes have counted; each metric says how (its `aggregator`). */
const added = (sets: readonly MetricValues[]): Registry =>
  AggregatorRegistry.aggregate(sets as MetricValues[])

/** What only grows: it must not fall when the process that counted it ends. */
const grows = ({ type }: MetricValues[number]) => {
  const kind = String(type)
  return kind === 'counter' || kind === 'histogram'
}

/**
 * The metrics of a server of several processes. What a process that has ended had counted stays in the sums: a counter that
 * falls would be read as a restart, and what all others have counted would be counted again.
 */
export const createMetricsSum = () => {
  const latest = new Map<number, MetricValues>()
  let ended: Promise<MetricValues> = Promise.resolve([])
  const own = new Registry()
  const serving = new Gauge({
    name: 'latchkey_workers',
    help: 'Worker processes that serve',
    registers: [own],
  })
  const deaths = new Counter({
    name: 'latchkey_worker_deaths_total',
    help: 'Worker processes that ended without being told to',
    registers: [own],
  })

  return {
    serving,
    deaths,
    /** Remembers what a process has counted so far. */
    counted: (process: number, metrics: MetricValues) => void latest.set(process, metrics),
    /** Keeps what a process has counted in its life. */
    ended: (process: number) => {
      const last = latest.get(process) ?? []
      latest.delete(process)
      ended = ended.then((before) => added([before, last.filter(grows)]).getMetricsAsJSON())
    },
    /** Everything, in the format of Prometheus. */
    text: async () =>
      added([...latest.values(), await ended, await own.getMetricsAsJSON()]).metrics(),
  }
}
