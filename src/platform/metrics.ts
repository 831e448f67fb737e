import { Counter, Gauge, Registry } from 'prom-client'
import type { NamespaceReport } from './cache/tiered-cache.ts'
import { createJobMetrics } from './jobs/metrics.ts'

export type Metrics = ReturnType<typeof createMetrics>

/** What one process has counted, as data. */
export type MetricValues = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

/** What `/metrics` tells (Prometheus text format). Never a subject or a resource as a label. */
export const createMetrics = () => {
  const registry = new Registry()
  const registers = [registry]
  const decisions = new Counter({
    name: 'latchkey_decisions_total',
    help: 'Decisions by why they fell as they did; role and grant are allows',
    labelNames: ['code'],
    registers,
  })
  const organizations = new Gauge({
    name: 'latchkey_policies_organizations',
    help: 'Organizations whose policy is in memory',
    registers,
  })
  const policyBytes = new Gauge({
    name: 'latchkey_policies_bytes',
    help: 'Estimated bytes of the policies in memory',
    registers,
  })
  const cacheReads = new Counter({
    name: 'latchkey_cache_reads_total',
    help: 'What was asked of the cache, by who had the answer: memory, remote or source',
    labelNames: ['namespace', 'answered'],
    registers,
  })
  const cacheBytes = new Gauge({
    name: 'latchkey_cache_bytes',
    help: 'Estimated bytes of the cached values in memory',
    labelNames: ['namespace'],
    registers,
  })
  const cacheDegraded = new Gauge({
    name: 'latchkey_cache_degraded',
    help: '1 where the remote store of the cache does not answer',
    registers,
    aggregator: 'max',
  })
  return {
    registry,
    observeCaches: (reports: readonly NamespaceReport[], isDegraded: boolean) => {
      cacheReads.reset()
      for (const { namespace, bytes, memoryHits, remoteHits, loads } of reports) {
        cacheReads.inc({ namespace, answered: 'memory' }, memoryHits)
        cacheReads.inc({ namespace, answered: 'remote' }, remoteHits)
        cacheReads.inc({ namespace, answered: 'source' }, loads)
        cacheBytes.set({ namespace }, bytes)
      }
      cacheDegraded.set(isDegraded ? 1 : 0)
    },
    /** Takes over what was counted without labels, because a labelled counter costs as much as a decision. */
    observe: (
      counts: Readonly<Record<string, number>>,
      size: { organizations: number; bytes: number },
    ) => {
      decisions.reset()
      for (const [code, count] of Object.entries(counts)) decisions.inc({ code }, count)
      organizations.set(size.organizations)
      policyBytes.set(size.bytes)
    },
    jobs: createJobMetrics(registers),
    differences: new Counter({
      name: 'latchkey_engine_differences_total',
      help: 'Questions that the index and Casbin decided differently (ENGINE_VERIFY)',
      registers,
    }),
  }
}
