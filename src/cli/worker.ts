import cluster from 'node:cluster'
import { start } from '../node.ts'
import type { Config } from '../platform/config.ts'
import {
  ASSIGNMENT,
  type Assignment,
  type FromPrimary,
  type FromWorker,
} from './worker-messages.ts'

/** Milliseconds that the primary gets to add up what all workers have counted. */
const SUM_MS_MAX = 5000

const say = (message: FromWorker) =>
  new Promise<void>((resolve) => {
    // To a primary that is gone nothing needs to be said.
    if (process.connected) process.send!(message, () => resolve())
    else resolve()
  })

/** Asks the primary for the metrics of all workers. */
const askForSum = () => {
  const asked = new Map<number, (text: string) => void>()
  let last = 0
  process.on('message', (message: FromPrimary) => {
    if (message.kind !== 'sum') return
    asked.get(message.id)?.(message.text)
    asked.delete(message.id)
  })
  return () =>
    new Promise<string>((resolve, reject) => {
      const id = ++last
      asked.set(id, resolve)
      void say({ kind: 'sum-wanted', id })
      setTimeout(() => {
        if (asked.delete(id)) reject(new Error('the primary process adds up no metrics'))
      }, SUM_MS_MAX).unref()
    })
}

/** One worker of several: serves until it is told to stop or the primary is gone, then finishes what is in flight. */
export const serveAsWorker = async (config: Config) => {
  const assignment = JSON.parse(process.env[ASSIGNMENT]!) as Assignment
  const told = Promise.withResolvers<void>()
  process.once('SIGTERM', told.resolve)
  process.once('disconnect', told.resolve)
  // Without this, the runtime ends a worker in the middle of its requests when the primary is gone.
  cluster.worker!.exitedAfterDisconnect = true
  // Typed at a terminal, these reach all processes; the primary knows what is to be done.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
  try {
    const { stop, count, ...running } = await start(config, {
      ...assignment,
      metricsOfAll: askForSum(),
    })
    process.on('message', async (message: FromPrimary) => {
      if (message.kind === 'count-wanted') await say({ kind: 'counted', metrics: await count() })
    })
    await say({ kind: 'ready', running })
    await told.promise
    await stop()
    await say({ kind: 'counted', metrics: await count() })
  } finally {
    // The primary's line keeps the process alive. What ends with an error says so before.
    setImmediate(() => process.exit())
  }
}
