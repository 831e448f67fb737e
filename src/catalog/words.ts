import type { Queryable } from '../platform/db/connect.ts'
import { nearest, stepsMost } from '../platform/nearest.ts'
import * as repository from './search-repository.ts'

/** Words that are known, with their stems, at the same places. */
export type KnownWords = { words: readonly string[]; stems: readonly string[] }

const WORDS_MAX = 12_000
const UNKNOWN_MAX = 5
const [LETTERS_MIN, LETTERS_MAX] = [3, 32]

/** What is searched for, and its last word, which may not be written to its end yet. */
export const splitLast = (q: string): { whole: string; last: string | undefined } => {
  const [, before = '', last] = /^([\s\S]*?)([\p{L}\p{N}]+)$/u.exec(q) ?? []
  const isOpen =
    last !== undefined &&
    (before === '' || /\s$/.test(before)) &&
    (before.match(/"/g) ?? []).length % 2 === 0 &&
    !/(?:^|\s)or\s+$/i.test(before) &&
    !/^(?:or|and)$/i.test(last)
  return isOpen ? { whole: before, last } : { whole: q, last: undefined }
}

/** The words of all that is listed. */
export const readKnownWords = async (tx: Queryable): Promise<KnownWords> => {
  const rows = await repository.listWords(tx, WORDS_MAX)
  return { words: rows.map(({ word }) => word), stems: rows.map(({ stem }) => stem) }
}

/** Known words as they are looked up: what is kept is plain JSON. */
type Index = { set: ReadonlySet<string>; letters: readonly number[] }
const indexes = new WeakMap<KnownWords, Index>()
const indexOf = (known: KnownWords): Index => {
  const found = indexes.get(known) ?? {
    set: new Set([...known.words, ...known.stems]),
    letters: known.words.map(lettersOf),
  }
  indexes.set(known, found)
  return found
}

/** Which letters a word has, one bit each. */
const lettersOf = (word: string): number => {
  let letters = 0
  for (let at = 0; at < word.length; at++) letters |= 1 << (word.charCodeAt(at) & 31)
  return letters
}
const bitsIn = (given: number): number => {
  let bits = 0
  for (let rest = given; rest !== 0; rest &= rest - 1) bits++
  return bits
}

/** Words whose letters could be those of a mistyped one: a step changes two of them at most. Few enough to be measured. */
const likely = (word: string, { words }: KnownWords, { letters }: Index): string[] => {
  const own = lettersOf(word)
  const most = 2 * stepsMost(word)
  return words.filter((_, at) => bitsIn(own ^ letters[at]!) <= most)
}

/** The words that are looked for, not those that must not be there. */
const wordsIn = (q: string) => {
  const found = q.toLowerCase().match(/(?<![\p{L}\p{N}-])[\p{L}\p{N}]+/gu) ?? []
  return [...new Set(found)].filter(
    (word) => word.length >= LETTERS_MIN && word.length <= LETTERS_MAX,
  )
}

/** The words of a search that nobody has written so far, the first few; none where nothing is known. */
export const unknownIn = (known: KnownWords, q: string): string[] => {
  if (known.words.length === 0) return []
  const { set } = indexOf(known)
  const { last } = splitLast(q)
  const isBegun = (word: string) =>
    word === last?.toLowerCase() && known.words.some((each) => each.startsWith(word))
  const unknown = wordsIn(q).filter((word) => !set.has(word) && !isBegun(word))
  return unknown.slice(0, UNKNOWN_MAX)
}

/** The same search with its unknown words replaced by the nearest known ones; undefined where none is near. */
export const suggest = async (
  tx: Queryable,
  known: KnownWords,
  q: string,
  unknown: readonly string[],
): Promise<string | undefined> => {
  const index = indexOf(known)
  const { set } = index
  const stems = await repository.listStems(tx, unknown)
  let suggestion = q
  for (const { word, stem } of stems) {
    if (stem === null || set.has(stem)) continue
    const [near] = nearest(word, likely(word, known, index))
    if (near)
      suggestion = suggestion.replace(
        new RegExp(`(?<![\\p{L}\\p{N}])${word}(?![\\p{L}\\p{N}])`, 'giu'),
        near,
      )
  }
  return suggestion === q ? undefined : suggestion
}
