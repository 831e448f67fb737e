import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Stored } from '../../../src/platform/cache/codec.ts'
import { boundByStore } from '../../../src/platform/cache/lifetime.ts'

const WRITTEN_AT_MS = 1_700_000_000_000
const stored: Stored = {
  ...{ text: '1', revision: 1, platformRevision: 0, loadMs: 5, storedAtMs: WRITTEN_AT_MS },
  ...{ expiresAtMs: WRITTEN_AT_MS + 60_000, usableUntilMs: WRITTEN_AT_MS + 100_000 },
}

test('ends when the store forgets it or when its writer said, whichever is earlier, whatever the clocks say', () => {
  const apart = fc.integer({ min: -86_400_000, max: 86_400_000 })
  const left = fc.oneof(fc.integer({ min: 0, max: 200_000 }), fc.constant(Number.POSITIVE_INFINITY))
  fc.assert(
    fc.property(apart, left, (apartMs, leftMs) => {
      const nowMs = WRITTEN_AT_MS + apartMs
      const read = boundByStore(stored, leftMs, nowMs)
      expect(read.usableUntilMs).toBe(Math.min(nowMs + leftMs, stored.usableUntilMs))
      // As far apart as its writer put them.
      expect(read.usableUntilMs - read.expiresAtMs).toBe(40_000)
      expect(read.storedAtMs).toBe(WRITTEN_AT_MS)
    }),
  )
})
