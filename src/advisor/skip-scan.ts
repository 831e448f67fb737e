import type { Candidate } from './candidate.ts'
import type { TargetIndex } from './target.ts'

/** The first version that looks up in a B-tree what does not name its first key. */
export const SKIP_SCAN_VERSION = 180_000

/** The first key of a B-tree, as the names of columns it is made of. */
type FirstKey = { names: string[] } | undefined

const WORD = /[\p{L}_][\p{L}\p{N}_$]*|"(?:[^"]|"")+"/gu

const plain = (word: string) =>
  word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word

const wordsOf = (text: string) => (text.match(WORD) ?? []).map(plain)

const firstKey = (column: string | null, expression: string | null): FirstKey => {
  if (column !== null) return { names: [column] }
  return expression === null ? undefined : { names: wordsOf(expression) }
}

export const firstKeyOfCandidate = ({ method, keys }: Candidate): FirstKey => {
  const [key] = keys
  if (method !== 'btree' || keys.length < 2 || !key) return undefined
  return 'column' in key ? firstKey(key.column, null) : firstKey(null, key.expression)
}

export const firstKeyOfIndex = ({ method, keys }: TargetIndex): FirstKey =>
  method === 'btree' && keys.length > 1 && keys[0]
    ? firstKey(keys[0].column, keys[0].expression)
    : undefined

/** Whether what is looked up names nothing of the first key. */
export const skipsFirst = (key: FirstKey, condition: string | null): boolean => {
  if (!key || condition === null) return false
  const words: ReadonlySet<string> = new Set(wordsOf(condition))
  return !key.names.some((name) => words.has(name))
}
