import type { OnStatement, SeenStatement } from '../platform/db/observe.ts'

/** What was measured of one text since it was last taken. */
export type Measured = {
  text: string
  calls: number
  rows: number
  totalMs: number
  totalMsSquares: number
  maxMs: number
  slow: number
}

/** One statement that took long. */
export type SlowStatement = SeenStatement & { at: string }

/** Texts that are told apart until they are written down; more are counted as dropped. */
const TEXTS_MAX = 2000
const SLOW_MAX = 200
/** What is longer than this, such as a migration, is nothing anybody would read, and is not measured. */
const TEXT_CHARACTERS_MAX = 10_000

/** What this process has run since it was last written down: a few additions a statement. */
export type Recorder = {
  seen: OnStatement
  /** All of it, and begins anew. */
  take(): { measured: Measured[]; slow: SlowStatement[]; dropped: number }
}

/** Counts statements of `slowMs` and more as slow, and keeps the last of them one by one. */
export const createRecorder = (slowMs: number, now = () => new Date()): Recorder => {
  let [measured, slow, dropped] = [new Map<string, Measured>(), [] as SlowStatement[], 0]

  const measuredOf = (text: string) => {
    const known = measured.get(text)
    if (known) return known
    if (measured.size >= TEXTS_MAX) return undefined
    const begun = { text, calls: 0, rows: 0, totalMs: 0, totalMsSquares: 0, maxMs: 0, slow: 0 }
    measured.set(text, begun)
    return begun
  }

  return {
    seen({ text, durationMs, rows }) {
      if (text.length > TEXT_CHARACTERS_MAX) return
      const known = measuredOf(text)
      if (!known) {
        dropped++
        return
      }
      known.calls++
      known.rows += rows
      known.totalMs += durationMs
      known.totalMsSquares += durationMs * durationMs
      known.maxMs = Math.max(known.maxMs, durationMs)
      if (durationMs < slowMs) return
      known.slow++
      slow.push({ text, durationMs, rows, at: now().toISOString() })
      if (slow.length > SLOW_MAX) slow.shift()
    },
    take() {
      const taken = { measured: [...measured.values()], slow, dropped }
      ;[measured, slow, dropped] = [new Map(), [], 0]
      return taken
    },
  }
}
