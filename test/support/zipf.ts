/** Numbers 0… of which each is as likely as its rank to this power (Zipf), from a fixed seed. */
export const zipf = (keys: number, power: number, seed: number) => {
  const sums = new Float64Array(keys)
  let sum = 0
  for (let rank = 0; rank < keys; rank++) {
    sum += 1 / (rank + 1) ** power
    sums[rank] = sum
  }
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const drawn = (state / 2 ** 32) * sum
    let [low, high] = [0, keys - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle]! < drawn) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Keys a trace is of, and bytes of each entry. */
export const [KEYS, ENTRY_BYTES] = [100_000, 1000]
const READS = 400_000
const read = (hash: number) => ({ hash, bytes: ENTRY_BYTES })
/** Reads of which few keys are most. */
export const zipfTrace = () => {
  const next = zipf(KEYS, 0.99, 7)
  return Array.from({ length: READS }, () => read(next()))
}
/** Every ten thousand reads somebody reads five thousand other keys once, one behind the other. */
export const scannedTrace = () => {
  const next = zipf(KEYS, 0.99, 11)
  let scan = KEYS
  return Array.from({ length: READS }, (_, at) => read(at % 10_000 < 5000 ? scan++ : next()))
}
