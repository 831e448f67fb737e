import { Command } from 'commander'
import { openDatabase } from '../node.ts'
import { readConfig } from '../platform/config.ts'
import { migrate } from '../platform/db/migrate.ts'
import { readMigrations } from '../platform/db/migrations.ts'
import { silentLog } from '../platform/log.ts'

/** `latchkey migrate`: what a deployment runs before its nodes start. */
export const migrateCommand = () =>
  new Command('migrate').description('Bring the database up to date').action(async () => {
    const database = await openDatabase(readConfig(process.env), silentLog)
    try {
      const applied = await migrate(database.sql, await readMigrations())
      const lines =
        applied.length > 0 ? applied.map((name) => `applied ${name}`) : ['nothing to do']
      process.stdout.write(`${lines.join('\n')}\n`)
    } finally {
      await database.close()
    }
  })
