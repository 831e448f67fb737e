/** Milliseconds at which the buckets of the books end; the last has no end. As `job_bucket` has them. */
export const BUCKET_ENDS_MS = [
  ...[10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 60_000, 300_000, 3_600_000],
] as const

/** The value below which a share of what was counted lies, as if each bucket were filled evenly; null of nothing. */
export const percentile = (buckets: readonly number[], share: number): number | null => {
  const total = buckets.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let below = 0
  for (const [index, count] of buckets.entries()) {
    if (count > 0 && below + count >= share * total) {
      const start = index === 0 ? 0 : BUCKET_ENDS_MS[index - 1]!
      const end = BUCKET_ENDS_MS[index] ?? start
      return Math.round(start + ((share * total - below) / count) * (end - start))
    }
    below += count
  }
  return BUCKET_ENDS_MS.at(-1)!
}
