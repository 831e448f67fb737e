import cluster from 'node:cluster'
import { Command } from 'commander'
import { start } from '../node.ts'
import { type Config, readConfig } from '../platform/config.ts'
import { bannerOf } from './banner.ts'
import { serveWithWorkers, workersOf } from './cluster.ts'
import { serveAsWorker } from './worker.ts'

/** Milliseconds that connections get to close by themselves once everything is done. */
const LINGER_MS = 1000

/** Serves in this process until it is told to stop, then finishes what is in flight. */
const serveAlone = async (config: Config) => {
  const running = await start(config)
  process.stdout.write(bannerOf(running))
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  await running.stop()
}

/** `latchkey serve`: in one process, or in a primary and its workers. */
export const serveCommand = () =>
  new Command('serve')
    .description('Run the server (settings: docs/settings.md)')
    .option('-w, --workers <count>', 'processes that serve, or auto: one per core (WORKERS)')
    .action(async ({ workers }: { workers?: string }) => {
      const given = workers === undefined ? {} : { WORKERS: workers }
      const config = readConfig({ ...process.env, ...given })
      if (cluster.isWorker) return serveAsWorker(config)
      const count = workersOf(config)
      if (count > 1) process.exitCode = await serveWithWorkers(config, count)
      else await serveAlone(config)
      // All is written and let go of. A driver that waits for a server which is away must not keep the process.
      setTimeout(() => process.exit(), LINGER_MS).unref()
    })
