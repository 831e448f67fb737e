import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { createMemory, type MemoryPolicy } from '../src/platform/cache/memory.ts'
import { type Figure, percentile } from './figures.ts'

/** Entries in memory, and how many are pushed out of it in a run. */
const ENTRIES = 100_000
const STEPS = 200_000
/** Runs of the very same steps. */
const RUNS = 5

type Span = { startedAtMs: number; tookMs: number }

const keyOf = (at: number) => `org_a:1p0.0-0:kkey ${at}`

/** One run: what each eviction took, with a read before it. */
const runOf = (policy: MemoryPolicy): Span[] => {
  const memory = createMemory<object>({ bytesMax: ENTRIES * 1000, entryBytesMax: 1e6, policy })
  for (let at = 0; at < ENTRIES; at++) memory.set(keyOf(at), {}, 1000)
  // Made before, so that noting a step costs none of the next.
  const spans = Array.from({ length: STEPS }, () => ({ startedAtMs: 0, tookMs: 0 }))
  for (let at = 0; at < STEPS; at++) {
    const key = keyOf(ENTRIES + at)
    const span = spans[at]!
    span.startedAtMs = performance.now()
    memory.get(key)
    memory.set(key, {}, 1000)
    span.tookMs = performance.now() - span.startedAtMs
  }
  return spans
}

/** Runs with the collections of garbage that fell into their steps. */
const observedRuns = async (policy: MemoryPolicy) => {
  const collections: Span[] = []
  const observer = new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries())
      collections.push({ startedAtMs: startTime, tookMs: duration })
  })
  observer.observe({ entryTypes: ['gc'] })
  const runs: Span[][] = []
  for (let turn = 0; turn < RUNS; turn++) {
    runs.push(runOf(policy))
    // Collections are told of between turns of the event loop.
    await sleep(50)
  }
  observer.disconnect()
  return { runs, collections }
}

const endOf = ({ startedAtMs, tookMs }: Span) => startedAtMs + tookMs
const doOverlap = (one: Span, other: Span) =>
  one.startedAtMs < endOf(other) && other.startedAtMs < endOf(one)
const longestOf = (spans: readonly Span[]) =>
  spans.reduce((longest, { tookMs }) => Math.max(longest, tookMs), 0)

/**
 * What it takes to make room among 100,000 entries, and whose it is. What the memory itself does comes back at the same step
 * of every run; a collection of garbage is told by the engine; what is left over is a machine that did something else.
 */
export const benchEvictions = async (policies: readonly MemoryPolicy[]): Promise<Figure[]> => {
  const figures: Figure[] = []
  for (const policy of policies) {
    const { runs, collections } = await observedRuns(policy)
    const steps = runs.flat()
    const times = steps.map(({ tookMs }) => tookMs)
    const slow = steps.filter(({ tookMs }) => tookMs > 0.05)
    const touched = collections.filter((each) => slow.some((span) => doOverlap(each, span)))
    const undisturbed = slow.filter((span) => !touched.some((each) => doOverlap(each, span)))
    const recurring = runs[0]!.map((_, at) => Math.min(...runs.map((run) => run[at]!.tookMs)))
    const note = `${RUNS} runs of ${STEPS} evictions at ${ENTRIES} entries`
    const figure = (name: string, value: number, more: Partial<Figure> = {}): Figure => ({
      ...{ name: `eviction, ${policy}, ${name}`, value, unit: 'ms', note, ...more },
    })
    figures.push(
      figure('p99', percentile(times, 0.99), { target: 1 }),
      figure('p99.99', percentile(times, 0.9999)),
      figure('longest step of the same place in all runs', percentile(recurring, 1), { target: 1 }),
      figure('longest step without a collection in it', longestOf(undisturbed), {
        note: `${note}; ${undisturbed.filter(({ tookMs }) => tookMs > 1).length} above 1 ms, other work of the machine included`,
      }),
      figure('longest collection', longestOf(touched), {
        note: `${touched.length} collections fell into ${steps.length} steps`,
      }),
    )
  }
  return figures
}
