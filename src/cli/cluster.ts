import { availableParallelism } from 'node:os'
import { openDatabase } from '../node.ts'
import type { Config } from '../platform/config.ts'
import { migrate } from '../platform/db/migrate.ts'
import { readMigrations } from '../platform/db/migrations.ts'
import type { Log } from '../platform/log.ts'
import { createLog } from '../platform/node/log.ts'
import { bannerOf } from './banner.ts'
import { CommandError } from './failure.ts'
import { startFleet } from './fleet.ts'

/** How many processes serve: as many as the settings say; `auto` is one per core where several can share the database. */
export const workersOf = ({ WORKERS, DATABASE_URL }: Config): number => {
  if (WORKERS === 'auto') return DATABASE_URL ? availableParallelism() : 1
  if (WORKERS > 1 && !DATABASE_URL)
    throw new CommandError(
      `${WORKERS} workers need a database server: embedded storage is one process's; set DATABASE_URL`,
    )
  return WORKERS
}

/**
 * The primary process: brings the database up to date, opens the port for its workers and keeps them alive. It serves
 * nothing itself. Resolves with the code to end with, when all workers have ended.
 * @throws CommandError when no worker can be kept alive
 */
export const serveWithWorkers = async (config: Config, count: number): Promise<number> => {
  const log = createLog(config.LOG_LEVEL)
  const isNew = await bringUpToDate(config, log)
  const fleet = startFleet({ count, isNew, log })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, fleet.stop)
  // A terminal that is closed ends what runs in it; a supervisor asks for new processes in place of the old.
  process.on('SIGHUP', process.stdin.isTTY ? fleet.stop : () => void fleet.renew())
  const running = await fleet.start()
  if (running) process.stdout.write(bannerOf(running, count))
  return fleet.ended
}

/** Before the first worker starts, so that none of them does it. Answers whether the database was empty. */
const bringUpToDate = async (config: Config, log: Log) => {
  const database = await openDatabase(config, log)
  try {
    const migrations = await readMigrations()
    const applied = await migrate(database.sql, migrations)
    if (applied.length > 0) log.info({ applied }, 'database migrated')
    return applied.length === migrations.length
  } finally {
    await database.close()
  }
}
