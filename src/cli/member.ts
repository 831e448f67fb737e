import cluster from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Furnished } from '../node.ts'
import type { MetricValues } from '../platform/metrics.ts'
import { closeLostConnection } from './lost-connection.ts'
import {
  ASSIGNMENT,
  type Assignment,
  type FromPrimary,
  type FromWorker,
} from './worker-messages.ts'

/** How a worker process ended, and how long it had served; undefined if it never did. */
export type End = { code: number | null; signal: string | null; servedMs: number | undefined }

/** `with code 1`, `by SIGKILL`. */
export const howOf = ({ code, signal }: End) => (signal ? `by ${signal}` : `with code ${code}`)

/** One worker process, as the primary sees it. */
export type Member = ReturnType<typeof startMember>

/** Milliseconds that a worker gets to finish what is in flight before it is killed. */
const END_MS_MAX = 30_000
/** Milliseconds that a worker gets to tell what it has counted. */
const COUNT_MS_MAX = 1000

/** Starts a worker process. */
export const startMember = (
  assignment: Assignment,
  /** Called with what it has counted, and when somebody asks it for the metrics of all. */
  heard: {
    counted: (pid: number, metrics: MetricValues) => void
    sumWanted: () => Promise<string>
  },
) => {
  const worker = cluster.fork({ [ASSIGNMENT]: JSON.stringify(assignment) })
  closeLostConnection(worker)
  const pid = worker.process.pid!
  const ready = Promise.withResolvers<Furnished | undefined>()
  const ended = Promise.withResolvers<End>()
  let readyAtMs: number | undefined
  let isTold = false
  let counted = Promise.withResolvers<void>()

  const say = (message: FromPrimary) => {
    // One that is dying hears nothing any more, and says so by an error.
    if (worker.isConnected()) worker.send(message, () => {})
  }
  const hear = async (message: FromWorker) => {
    if (message.kind === 'ready') {
      readyAtMs = Date.now()
      ready.resolve(message.running)
    } else if (message.kind === 'counted') {
      heard.counted(pid, message.metrics)
      counted.resolve()
      counted = Promise.withResolvers()
    } else if (message.kind === 'sum-wanted')
      say({ kind: 'sum', id: message.id, text: await heard.sumWanted() })
  }
  worker.on('message', hear)
  worker.on('error', () => {})
  worker.once('exit', (code, signal) => {
    ready.resolve(undefined)
    ended.resolve({ code, signal, servedMs: readyAtMs && Date.now() - readyAtMs })
  })

  return {
    number: assignment.worker,
    pid,
    /** What it tells when it serves; undefined if it ends before. */
    ready: ready.promise,
    ended: ended.promise,
    /** Whether it was told to end. */
    isTold: () => isTold,
    /** Tells it to finish what is in flight and end. */
    stop: () => {
      if (isTold) return
      isTold = true
      worker.process.kill('SIGTERM')
      const killing = setTimeout(() => worker.process.kill('SIGKILL'), END_MS_MAX)
      worker.once('exit', () => clearTimeout(killing))
    },
    /** Asks what it has counted; resolves when it was heard, or will not be. */
    count: () => {
      say({ kind: 'count-wanted' })
      return Promise.race([
        counted.promise,
        ended.promise,
        sleep(COUNT_MS_MAX, undefined, { ref: false }),
      ])
    },
  }
}
