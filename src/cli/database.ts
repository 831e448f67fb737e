import { assemble, type OpenDatabase, openDatabase } from '../node.ts'
import { readConfig } from '../platform/config.ts'
import type { Context } from '../platform/context.ts'
import { silentLog } from '../platform/log.ts'

/** Works on the database itself, migrated and with its packs, without serving. */
export const withDatabase = async <Result>(
  work: (context: Context, database: OpenDatabase) => Promise<Result>,
): Promise<Result> => {
  const config = readConfig(process.env)
  const database = await openDatabase(config, silentLog)
  try {
    const { context } = await assemble(config, database, silentLog)
    return await work(context, database)
  } finally {
    await database.close()
  }
}
