import { sha256, toHex } from '../platform/crypto/hash.ts'

/** Of every index that is built here, and of no other: what has it and is invalid may be cleaned up. */
export const PREFIX = 'adv_'
/** Bytes a name may have (NAMEDATALEN - 1). */
const NAME_BYTES_MAX = 63
const HASH_CHARACTERS = 8

const cut = (text: string, bytesMax: number) => {
  let kept = ''
  for (const character of text) {
    if (new TextEncoder().encode(kept + character).length > bytesMax) break
    kept += character
  }
  return kept
}

/**
 * The name of an advised index: `adv_<table>_<hash8>`, of its definition, so that the same index always has the same name.
 * @param definition what follows the name in the statement that makes it (`candidateText`)
 */
export const indexNameOf = async (table: string, definition: string): Promise<string> => {
  const hash = toHex(await sha256(definition)).slice(0, HASH_CHARACTERS)
  return `${PREFIX}${cut(table, NAME_BYTES_MAX - PREFIX.length - HASH_CHARACTERS - 1)}_${hash}`
}

/** Whether it is a name that an index of ours may have. */
export const isOurName = (name: string): boolean =>
  name.startsWith(PREFIX) && new TextEncoder().encode(name).length <= NAME_BYTES_MAX
