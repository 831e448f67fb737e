import { styleText } from 'node:util'
import { Command, CommanderError } from 'commander'
import { ConfigError } from '../platform/config.ts'
import { DataDirInUse } from '../platform/db/data-dir-lock.ts'
import { MigrationError } from '../platform/db/migrate.ts'
import { isDatabaseAway } from '../platform/db/violation.ts'
import { Problem } from '../platform/problem.ts'
import { checkCommand, explainCommand } from './check.ts'
import { databaseCommand } from './database-command.ts'
import { exportCommand } from './export.ts'
import { CommandError } from './failure.ts'
import { importCommand } from './import.ts'
import { jobsCommand } from './jobs.ts'
import { keysCommand } from './keys.ts'
import { migrateCommand } from './migrate.ts'
import { optimizeCommand } from './optimize.ts'
import { policyCommand } from './policy.ts'
import { redisBridgeCommand } from './redis-bridge.ts'
import { serveCommand } from './serve.ts'
import { templatesCommand } from './templates.ts'

/** Everything `latchkey` can do. */
const program = () =>
  new Command('latchkey')
    .description('An authorization server for software that serves many organizations')
    .exitOverride()
    .showHelpAfterError('(latchkey --help tells more)')
    .addCommand(serveCommand())
    .addCommand(migrateCommand())
    .addCommand(databaseCommand())
    .addCommand(checkCommand())
    .addCommand(explainCommand())
    .addCommand(importCommand())
    .addCommand(exportCommand())
    .addCommand(jobsCommand())
    .addCommand(keysCommand())
    .addCommand(optimizeCommand())
    .addCommand(policyCommand())
    .addCommand(templatesCommand())
    .addCommand(redisBridgeCommand())

/** The one line a failure ends with. */
const lineOf = (error: unknown): string => {
  if (error instanceof Problem) return error.detail
  if (error instanceof ConfigError) return `a setting is malformed. ${error.message}`
  if (
    error instanceof DataDirInUse ||
    error instanceof MigrationError ||
    error instanceof CommandError
  )
    return error.message
  if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')
    return 'the port is in use; set PORT to another one'
  if (isDatabaseAway(error))
    return 'the database cannot be reached; is DATABASE_URL right and the server up?'
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

/** Runs a command line; answers the exit code. */
export const run = async (args: readonly string[]): Promise<number> => {
  try {
    await program().parseAsync([...args], { from: 'user' })
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode
    process.stderr.write(`${styleText('red', 'latchkey:')} ${lineOf(error)}\n`)
    return 1
  }
}
