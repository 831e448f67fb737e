/** Waits for its turn where enough was done at a stretch. */
export type Pace = () => Promise<void> | void

const STRETCH_MS = 20

/** Lets a long loop rest, so that other requests are answered meanwhile: `await pace()` in each round. */
export const createPace = (): Pace => {
  let restedAtMs = Date.now()
  return () => {
    if (Date.now() - restedAtMs < STRETCH_MS) return
    return new Promise<void>((resolve) => setTimeout(resolve)).then(() => {
      restedAtMs = Date.now()
    })
  }
}

/** Rows that one statement takes. On embedded storage, which runs in this process, it is done in a tenth of a second. */
export const ROWS_MAX = 1000

/** The slices of a long list, each small enough for one statement. */
export const slicesOf = <Item>(items: readonly Item[], size: number): Item[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
