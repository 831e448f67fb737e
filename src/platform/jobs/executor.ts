import type { QueueName } from './queue.ts'

/** All that leaves Postgres about a job: losing it loses nothing, reading it tells nothing. */
export type Message = { id: string; fence: number }

/**
 * Carries messages from whoever dispatches to whoever runs. May lose, repeat and reorder them at any moment; the row
 * decides whether a message still counts.
 */
export type Executor = {
  readonly name: string
  /** Whether messages can be handed over now. While false, workers take jobs from Postgres themselves. */
  readonly healthy: () => boolean
  /** Hands messages over. @throws when they may not have arrived */
  readonly dispatch: (queue: QueueName, messages: readonly Message[]) => Promise<void>
  /** Begins to deliver a queue's messages; each is delivered until `deliver` resolves. */
  readonly listen: (
    queue: QueueName,
    slots: number,
    deliver: (message: Message) => Promise<void>,
  ) => Promise<void>
  /** How many messages of a queue are delivered at once from now on. */
  readonly resize: (queue: QueueName, slots: number) => void
  /** Tells when it has become healthy or has ceased to be. */
  readonly watch: (changed: (healthy: boolean) => void) => void
  /** Delivers nothing more; what was delivered may end. */
  readonly pause: () => void
  /** Lets go of everything, within a few seconds, whatever state the other side is in. */
  readonly stop: () => Promise<void>
}
