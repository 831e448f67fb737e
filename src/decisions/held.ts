import type { Keys } from './slice-repository.ts'

/**
 * What somebody needs of an organization beside what is small of it: some subjects and resources, or everything. Where only
 * slices are held, nothing else of it can be asked.
 */
export type Wanted = Keys | 'everything'

/** Needs nobody and nothing: who the organization is, its state, its settings, its workspaces, its revision. */
export const NOBODY: Keys = { subjects: [], resources: [] }

/** Rows by their key. A slice throws where it is asked for one that was not read. */
export type Rows<Value> = {
  /** @throws NotHeld in a slice, for a key that was not read */
  get(key: string): Value | undefined
}

/** A question reached what was not read: a mistake of whoever opened the policy, and never an answer. */
export class NotHeld extends Error {
  readonly key: string
  constructor(key: string) {
    super('a slice was asked about what it does not hold')
    this.key = key
  }
}

/** Rows of which some were read; of those it is known whether they exist. */
export type HeldRows<Value> = Rows<Value> & {
  isHeld(key: string): boolean
  /** What a key is now; undefined for what was read and does not exist. */
  put(key: string, row: Value | undefined): void
  /** An estimate of the memory they take. */
  readonly bytes: number
}

const BYTES_PER_KEY = 80
const BYTES_PER_ROW = 120

/** No rows yet. `weigh` estimates what a row takes beside itself. */
export const createHeldRows = <Value>(weigh: (row: Value) => number): HeldRows<Value> => {
  /** null: read, and there is none. Kept apart from what was never read. */
  const rows = new Map<string, Value | null>()
  let bytes = 0
  const weight = (key: string, row: Value | null) =>
    BYTES_PER_KEY + 2 * key.length + (row === null ? 0 : BYTES_PER_ROW + weigh(row))
  return {
    get: (key) => {
      const row = rows.get(key)
      if (row === undefined) throw new NotHeld(key)
      return row ?? undefined
    },
    isHeld: (key) => rows.has(key),
    put: (key, row = undefined) => {
      const before = rows.get(key)
      if (before !== undefined) bytes -= weight(key, before)
      rows.set(key, row ?? null)
      bytes += weight(key, row ?? null)
    },
    get bytes() {
      return bytes
    },
  }
}
