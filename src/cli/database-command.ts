import { Command, InvalidArgumentError } from 'commander'
import { assemble } from '../node.ts'
import { readConfig } from '../platform/config.ts'
import { connect } from '../platform/db/connect.ts'
import { startEmbedded } from '../platform/db/embedded.ts'
import { serveInTurns } from '../platform/db/turns.ts'
import { silentLog } from '../platform/log.ts'
import { CommandError } from './failure.ts'

const portOf = (text: string) => {
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new InvalidArgumentError('must be a port')
}

const HELP = `
For development: serves the embedded database of DATA_DIR as a PostgreSQL server on this machine, so that a Worker (or psql)
can use it. It is migrated, and has the key of LATCHKEY_ADMIN_KEY if that is set:

  LATCHKEY_ADMIN_KEY=<32 characters or more> latchkey database --listen 5432
  npx wrangler dev --var DATABASE_URL:postgres://postgres:postgres@127.0.0.1:5432/postgres \\
    --var AUDIT_MAC_KEY:<64 hexadecimal digits> --var DATA_KEY:<64 hexadecimal digits>

Whoever reaches the port is its superuser. Connections take turns, a transaction each.`

/** Opens the embedded database, as a server would, and serves it; answers where, and how to stop. */
const listen = async (port: number) => {
  const config = readConfig(process.env)
  if (config.DATABASE_URL)
    throw new CommandError(
      'DATABASE_URL names a server already; unset it to serve embedded storage',
    )
  const embedded = await startEmbedded({ dataDir: config.DATA_DIR })
  try {
    const sql = connect(embedded.target)
    await assemble(config, { sql, kind: 'embedded', close: async () => {} }, silentLog)
    // From now on whoever speaks to the one session takes turns.
    await sql.end({ timeout: 5 })
    const turns = await serveInTurns(embedded.target.socketPath, port)
    const stop = () => turns.stop().then(embedded.stop)
    return { url: `postgres://postgres:postgres@127.0.0.1:${turns.port}/postgres`, stop }
  } catch (error) {
    await embedded.stop()
    throw error
  }
}

/** `latchkey database`: the embedded database for other programs. */
export const databaseCommand = () =>
  new Command('database')
    .description('Serve the embedded database to other programs (development)')
    .requiredOption('--listen <port>', 'where to listen on 127.0.0.1; 0 takes a free port', portOf)
    .addHelpText('after', HELP)
    .action(async ({ listen: port }: { listen: number }) => {
      const served = await listen(port)
      process.stdout.write(`DATABASE_URL=${served.url}\n`)
      await new Promise<void>((resolve) => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
      })
      await served.stop()
    })
