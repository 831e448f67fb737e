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

/** The slices of a long list, each small enough for one statement. */
export const slicesOf = <Item>(items: readonly Item[], size: number): Item[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
