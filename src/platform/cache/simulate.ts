import { createMemory, type MemoryPolicy } from './memory.ts'

/** What a policy and a size would have made of recorded reads. */
export type Simulation = {
  readonly policy: MemoryPolicy
  readonly bytesMax: number
  readonly reads: number
  /** Part of the reads that memory would have answered. */
  readonly hitRatio: number
  readonly evictions: number
}

type Read = { readonly hash: number; readonly bytes: number; readonly namespace?: string }

const POLICIES: readonly MemoryPolicy[] = ['lru', 'fifo', 'lfu']
/** Parts of all the bytes that were read, to try as sizes. */
const SIZES = [0.01, 0.05, 0.1, 0.25, 0.5] as const
const BYTES_MIN = 1024

/** Replays reads against an empty memory, each miss being stored. Lifetimes do not count: only room does. */
export const simulate = (
  trace: readonly Read[],
  policy: MemoryPolicy,
  bytesMax: number,
): Simulation => {
  let [hits, evictions] = [0, 0]
  const onEvict = () => {
    evictions++
  }
  const memory = createMemory<object>({ bytesMax, entryBytesMax: bytesMax, policy, onEvict })
  const entry = {}
  for (const { hash, bytes, namespace = '' } of trace) {
    const key = `${namespace} ${hash}`
    if (memory.get(key)) hits++
    else memory.set(key, entry, Math.max(1, bytes))
  }
  const reads = trace.length
  return { policy, bytesMax, reads, hitRatio: reads === 0 ? 0 : hits / reads, evictions }
}

/**
 * Every policy at several sizes, the best first; of equal ones the smaller first. Requests get their turn between two
 * simulations, each of which takes some tens of milliseconds.
 */
export const recommend = async (trace: readonly Read[]): Promise<Simulation[]> => {
  const sizes = new Map(trace.map(({ hash, bytes, namespace }) => [`${namespace} ${hash}`, bytes]))
  const whole = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0)
  const simulations: Simulation[] = []
  for (const part of SIZES)
    for (const policy of POLICIES) {
      await new Promise((resolve) => setTimeout(resolve, 0))
      simulations.push(simulate(trace, policy, Math.max(BYTES_MIN, Math.ceil(whole * part))))
    }
  return simulations.sort(
    (one, other) => other.hitRatio - one.hitRatio || one.bytesMax - other.bytesMax,
  )
}
