import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import type { Sql } from '../src/platform/db/connect.ts'
import { canPin } from './processes.ts'

/** What figures were taken under, by name. */
export type Conditions = Record<string, string>

const git = (...parameters: string[]) => {
  try {
    return execFileSync('git', parameters, { encoding: 'utf8' }).trim()
  } catch {
    return ''
  }
}

const commit = () => {
  const changed = git('status', '--porcelain').split('\n').filter(Boolean).length
  const hash = git('rev-parse', '--short', 'HEAD') || 'unknown'
  return changed > 0 ? `${hash} and ${changed} changed files` : hash
}

export const loadAverage = () =>
  loadavg()
    .map((load) => load.toFixed(2))
    .join(' ')

/** Whether other programs left the machine to us when it began; if not, no figure is worth quoting. */
const isQuiet = () => (loadavg()[1] ?? 0) < availableParallelism() / 2

/** Describes the machine, the program and the database. */
export const conditionsOf = async (sql: Sql, howPostgres: string): Promise<Conditions> => {
  const [row] = await sql<{ version: string; fsync: string; buffers: string }[]>`
    select version(), current_setting('fsync') as fsync, current_setting('shared_buffers') as buffers`
  return {
    date: new Date().toISOString(),
    processor: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    'load average at the start': `${loadAverage()}${isQuiet() ? '' : ' (not quiet: do not quote these figures)'}`,
    pinned: canPin()
      ? 'servers to core 0, load generator to core 1; PostgreSQL not'
      : 'no: everything shares all cores',
    node: process.version,
    commit: commit(),
    'ENGINE_VERIFY, LOG_LEVEL': 'off, info',
    PostgreSQL: `${/^PostgreSQL \S+/.exec(row!.version)?.[0]} (${howPostgres})`,
    'its settings': `fsync ${row!.fsync}, shared_buffers ${row!.buffers}; only jobs write while they are timed`,
  }
}
