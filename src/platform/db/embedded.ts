import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
import { lockDataDir } from './data-dir-lock.ts'

export type Embedded = {
  /** What `connect` takes. */
  target: { socketPath: string; port: number }
  /** The whole data directory as an archive, to start another one from. */
  dump(): Promise<Blob>
  stop(): Promise<void>
}

/** Connections the embedded server accepts; they all share one session, so more would not run faster. */
const CONNECTIONS_MAX = 64

/**
 * Starts PostgreSQL in WebAssembly inside this process and serves it over a unix socket that only this user can reach,
 * so that the rest of the server knows one driver and one dialect.
 * @throws when another process has the data directory open
 */
export const startEmbedded = async (options: {
  /** Where it keeps its files; null keeps everything in memory. */
  dataDir: string | null
  /** An archive to start from, made by `dump`. */
  loadDataDir?: Blob
}): Promise<Embedded> => {
  let unlock = async () => {}
  if (options.dataDir !== null) {
    await mkdir(options.dataDir, { recursive: true, mode: 0o700 })
    unlock = await lockDataDir(options.dataDir)
  }
  const db = await PGlite.create({
    ...(options.dataDir === null ? {} : { dataDir: join(options.dataDir, 'postgres') }),
    ...(options.loadDataDir ? { loadDataDir: options.loadDataDir } : {}),
  })
  // A path in the temporary folder: that of a deep data directory may exceed the 107 bytes a socket's name can have.
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-'))
  await chmod(folder, 0o700)
  const port = 5432
  const socketPath = join(folder, `.s.PGSQL.${port}`)
  const server = new PGLiteSocketServer({ db, path: socketPath, maxConnections: CONNECTIONS_MAX })
  await server.start()
  return {
    target: { socketPath, port },
    dump: () => db.dumpDataDir('gzip') as Promise<Blob>,
    stop: async () => {
      await server.stop()
      await db.close()
      await rm(folder, { recursive: true, force: true })
      await unlock()
    },
  }
}
