import type * as v from 'valibot'
import type { QueueName } from './queue.ts'

/** A job as it is handed in: its type's name and version, and what it shall do. */
export type NewJob = { readonly name: string; readonly version: number; readonly payload: object }

/** What everybody who hands in or runs such a job shares. */
export type JobType<Schema extends v.GenericSchema<object, object>> = {
  (payload: v.InferInput<Schema>): NewJob
  readonly jobName: string
  readonly queue: QueueName
  /** Raised when the payload changes in a way that older workers cannot read; those park what they do not know. */
  readonly version: number
  readonly payload: Schema
}

/**
 * Names a kind of job: `const sendDigest = jobType('digest.send', 'email', DigestPayload)`. Payloads carry ids, not people's
 * data: they are read by operators, and outlive what they are about.
 */
export const jobType = <Schema extends v.GenericSchema<object, object>>(
  jobName: string,
  queue: QueueName,
  payload: Schema,
  version = 1,
): JobType<Schema> =>
  Object.assign(
    (given: v.InferInput<Schema>): NewJob => ({ name: jobName, version, payload: given }),
    { jobName, queue, version, payload },
  )
