/** What a load under way read is out of date: whoever waits for it asks again. */
export class SupersededError extends Error {
  constructor() {
    super('what was being loaded is out of date')
  }
}

/** One load under way, for all who ask for the same. */
export type Flight<Result> = {
  readonly done: Promise<Result>
  readonly signal: AbortSignal
  /** Whether it was dropped: what it brings must not be kept. */
  isDropped: boolean
}

type Held<Result, About> = Flight<Result> & { about: About; abort: () => void }

/**
 * Loads under way by key. One that is superseded is let go of at once, so that nobody new joins it; those who wait hear a
 * `SupersededError`, unless it is `isLast`: then they take what it brings.
 */
export const createFlights = <Result, About>() => {
  const flights = new Map<string, Held<Result, About>>()

  const start = (
    key: string,
    about: About,
    isLast: boolean,
    work: (flight: Flight<Result>) => Promise<Result>,
  ): Flight<Result> => {
    const controller = new AbortController()
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    const abort = () => {
      if (isLast) return
      reject(new SupersededError())
      controller.abort()
    }
    const flight: Held<Result, About> = {
      ...{ done: promise, signal: controller.signal, isDropped: false },
      ...{ about, abort },
    }
    flights.set(key, flight)
    promise.catch(() => {})
    work(flight)
      .then(resolve, reject)
      .finally(() => {
        if (flights.get(key) === flight) flights.delete(key)
      })
    return flight
  }

  return {
    find: (key: string): Flight<Result> | undefined => flights.get(key),
    start,
    /** Gives up the loads of which this is so. */
    supersede: (isOver: (about: About, key: string) => boolean, drops = false): number => {
      let count = 0
      for (const [key, flight] of flights) {
        if (!isOver(flight.about, key)) continue
        flights.delete(key)
        flight.isDropped = drops
        flight.abort()
        count++
      }
      return count
    },
  }
}
