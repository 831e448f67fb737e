/** The queues, first the one that must never wait. Each has slots of its own, so a full one delays no other. */
export const QUEUES = [
  'security',
  'default',
  'email',
  'webhook',
  'audit',
  'maintenance',
  'analytics',
] as const

/** Detectors and containment; imports and previews; mail; outgoing events; sealing and exports; expiry; roll-ups. */
export type QueueName = (typeof QUEUES)[number]

/** Milliseconds a worker holds a job without being heard of; after that the job is run again. */
export const LEASE_MS = 30_000
/** Milliseconds between two signs of life of a worker. */
export const HEARTBEAT_MS = 10_000
/** Milliseconds an executor has to start what it was told of; after that the job is told again, to whoever is healthy. */
export const DISPATCH_MS = 30_000
/** Milliseconds between two looks for jobs whose worker was not heard of. */
export const SWEEP_MS = 5000
/** Starts without an end after which a job is dead: it kills the process that runs it. */
export const LOSSES_MAX = 3

/** The times that workers keep, in milliseconds. Only tests that wait for the end of a lease shorten them. */
export type Times = { leaseMs: number; heartbeatMs: number; dispatchMs: number; sweepMs: number }

export const TIMES: Times = {
  leaseMs: LEASE_MS,
  heartbeatMs: HEARTBEAT_MS,
  dispatchMs: DISPATCH_MS,
  sweepMs: SWEEP_MS,
}
