import { createScatteredMap } from './scattered-map.ts'

type Link<Entry> = {
  key: string
  entry: Entry
  bytes: number
  older: Link<Entry>
  newer: Link<Entry>
}

/**
 * Entries in the order in which they were last touched, bound by the bytes they count for: what was touched longest ago
 * makes room. No single step takes long, however many there are (`scattered-map.ts`).
 * @param pushedOut told of each that had to make room, not of what was replaced, deleted or taken
 */
export const createRecency = <Entry>(
  bytesMax: number,
  pushedOut: (key: string, entry: Entry) => void = () => {},
) => {
  const links = createScatteredMap<Link<Entry>>()
  // The ends of the chain are one link, so that none has to be asked whether it is the last.
  const ends = {} as Link<Entry>
  ends.older = ends
  ends.newer = ends
  let bytesHeld = 0

  const unlink = (link: Link<Entry>) => {
    link.older.newer = link.newer
    link.newer.older = link.older
  }
  const linkAsNewest = (link: Link<Entry>) => {
    link.older = ends.older
    link.newer = ends
    link.older.newer = link
    ends.older = link
  }
  const remove = (link: Link<Entry>) => {
    unlink(link)
    links.delete(link.key)
    bytesHeld -= link.bytes
  }
  /** Takes out what was touched longest ago. */
  const takeOldest = (): Link<Entry> | undefined => {
    if (ends.newer === ends) return undefined
    const oldest = ends.newer
    remove(oldest)
    return oldest
  }

  return {
    /** The entry, touched. */
    get: (key: string): Entry | undefined => {
      const link = links.get(key)
      if (!link) return undefined
      unlink(link)
      linkAsNewest(link)
      return link.entry
    },
    peek: (key: string): Entry | undefined => links.get(key)?.entry,
    /** Puts it in as the newest. What is larger than the whole room is not kept, and its elder neither. */
    set: (key: string, entry: Entry, bytes: number): void => {
      const elder = links.get(key)
      if (elder) remove(elder)
      if (bytes > bytesMax) return
      while (bytesHeld + bytes > bytesMax) {
        const oldest = takeOldest()!
        pushedOut(oldest.key, oldest.entry)
      }
      const link = { key, entry, bytes, older: ends, newer: ends }
      linkAsNewest(link)
      links.set(key, link)
      bytesHeld += bytes
    },
    delete: (key: string): boolean => {
      const link = links.get(key)
      if (link) remove(link)
      return link !== undefined
    },
    takeOldest: (): void => void takeOldest(),
    /** From the newest on. */
    *entries(): Generator<[key: string, entry: Entry]> {
      for (let link = ends.older; link !== ends; link = link.older) yield [link.key, link.entry]
    },
    /** From the one on that was touched longest ago, with the bytes it counts for. */
    *oldestFirst(): Generator<[key: string, bytes: number]> {
      for (let link = ends.newer; link !== ends; link = link.newer) yield [link.key, link.bytes]
    },
    size: () => links.size(),
    bytes: () => bytesHeld,
  }
}
