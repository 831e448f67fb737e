import { dropView, type View } from './view.ts'

/** Keeps the number of views below a bound. */
export type ViewCache = {
  /** Takes a view that was put into its place; another leaves its own place if there are too many. */
  readonly admit: (view: View) => void
  /** How many views there are room for. */
  readonly viewsMax: number
}

/**
 * The clock: a hand goes round the views, passes once over those that were used since it came by, and drops
 * the others. A flood of subjects that ask once therefore leaves those that ask often. A hit costs one flag.
 */
export const createViewCache = (viewsMax: number): ViewCache => {
  const ring: View[] = []
  let hand = 0
  return {
    viewsMax,
    admit: (view) => {
      if (ring.length < viewsMax) {
        ring.push(view)
        return
      }
      for (;;) {
        const candidate = ring[hand]!
        const isWanted = candidate.isUsed && candidate.place.views.isLive
        if (!isWanted) {
          dropView(candidate)
          ring[hand] = view
        }
        candidate.isUsed = false
        hand = (hand + 1) % ring.length
        if (!isWanted) return
      }
    },
  }
}
