import type { RemoteStore, Subscription } from './remote-store.ts'
import { within } from './within.ts'

/** Milliseconds between two proofs that the line stands, and between two tries to open it. */
const PROVE_MS = 250
/** Milliseconds a proof, or a new line, may take. */
const ANSWER_MS_MAX = 500

export type EarOptions = {
  store: RemoteStore
  channel: string
  hear: (message: string) => void
  /** The line is lost: whatever is published from now on may be missed. Called once for each loss. */
  lost?: () => void
  /** The line stands (again). What was published while it was lost must be asked for elsewhere. */
  back?: () => void
  now?: () => number
}

export type Ear = ReturnType<typeof openEar>

/**
 * Listens to a channel for good: opens the line, proves four times a second that it still stands (a Redis that is frozen
 * closes nothing), and opens it anew when it was lost. Where the store lets nobody listen, it is lost for ever.
 */
export const openEar = ({ store, channel, hear, lost, back, now = Date.now }: EarOptions) => {
  let subscription: Subscription | undefined
  let sureUntilMs = Number.NEGATIVE_INFINITY
  let stopped = false
  let isLost = false
  let timer: ReturnType<typeof setTimeout> | undefined

  const lose = () => {
    isLost = true
    if (!subscription) return
    void subscription.stop()
    subscription = undefined
    sureUntilMs = Number.NEGATIVE_INFINITY
    if (!stopped) lost?.()
  }
  const look = async () => {
    const askedAtMs = now()
    if (subscription) {
      const proved = subscription
      await within(ANSWER_MS_MAX, proved.prove())
      if (subscription === proved) sureUntilMs = askedAtMs
      return
    }
    const opening = store.subscribe!(channel, hear, lose)
    // One that opens too late is closed again.
    const opened = await within(ANSWER_MS_MAX, opening).catch((error: unknown) => {
      void opening.then(
        (late) => late.stop(),
        () => {},
      )
      throw error
    })
    if (stopped) return void opened.stop()
    subscription = opened
    sureUntilMs = askedAtMs
    isLost = false
    back?.()
  }
  const keepLooking = () =>
    void look()
      .catch(lose)
      .finally(() => {
        if (!stopped) timer = setTimeout(keepLooking, PROVE_MS)
      })
  if (store.subscribe) keepLooking()

  return {
    /** Everything that was published before this moment has been heard; −Infinity while the line is lost. */
    sureUntilMs: () => sureUntilMs,
    /** Whether it fell, or could not be opened; false while it is opened for the first time. */
    isLost: () => isLost,
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      lose()
    },
  }
}
