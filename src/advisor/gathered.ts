import { type Shadow, ShadowError, type ShadowIndex } from '../platform/shadow.ts'

/** Milliseconds in which what is added is gathered: tables are emptied for it, once for all. */
const GATHER_MS = 1

type Waiting = {
  index: ShadowIndex
  resolve: (names: string[]) => void
  reject: (why: unknown) => void
}

/**
 * Adds indexes to a shadow, those together that are asked for at the same time. Answers the names an index has there.
 * @throws ShadowError
 */
export const gatherAdded = (shadow: Shadow) => {
  let waiting: Waiting[] = []

  const addWaiting = async () => {
    const batch = waiting
    waiting = []
    try {
      const answers = await shadow.add(batch.map(({ index }) => index))
      for (const [at, { resolve, reject }] of batch.entries()) {
        const names = answers[at]!
        if (Array.isArray(names)) resolve(names)
        else reject(new ShadowError(names.refused))
      }
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  return (index: ShadowIndex): Promise<string[]> =>
    new Promise((resolve, reject) => {
      waiting.push({ index, resolve, reject })
      if (waiting.length === 1) setTimeout(addWaiting, GATHER_MS)
    })
}
