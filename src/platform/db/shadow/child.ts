import { rmSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type Extensions, PGlite } from '@electric-sql/pglite'
import { createAsking } from './ask.ts'
import { makeShadow } from './make.ts'
import type { Answer, Request, Requests } from './messages.ts'

/** The process of a shadow: it answers its parent, and ends with it. */

const folder = process.argv[2]!
/** Its own, and what its parent keeps for others. */
const folders = process.argv.slice(2)
let asking: ReturnType<typeof createAsking> | undefined

const leave = () => {
  try {
    for (const each of folders) rmSync(each, { recursive: true, force: true, maxRetries: 10 })
    process.kill(process.pid, 'SIGKILL')
  } catch {
    // The thread below is at it, too.
    setTimeout(leave, 1000)
  }
}

const loadExtensions = async (names: readonly string[]): Promise<Extensions> => {
  const extensions: Extensions = {}
  for (const name of names.filter((each) => each !== 'plpgsql')) {
    const file = name.replaceAll('-', '_')
    Object.assign(extensions, await import(`@electric-sql/pglite/contrib/${file}`))
  }
  return extensions
}

const start = async ({ shape, from }: Requests['start']['asked']) => {
  const dataDir = join(folder, 'postgres')
  const extensions = await loadExtensions(shape.extensions)
  const create = () =>
    PGlite.create({
      ...{ dataDir, extensions },
      // Pages are written past it, without sums; texts are in the order of the target's bytes, or in none that LIKE could use.
      initDbStartParams: [
        '--no-data-checksums',
        ...(shape.isBytewise ? [] : ['--lc-collate=C.utf8']),
      ],
    })
  if (from.copyOf !== undefined) await cp(from.copyOf, dataDir, { recursive: true })
  let db = await create()
  if (from.leave !== undefined) {
    await db.close()
    await cp(dataDir, from.leave, { recursive: true })
    db = await create()
  }
  const failed = await makeShadow(db, shape)
  asking = createAsking(db, folder, shape.relations)
  await asking.begin()
  return failed
}

const answer = ({ kind, asked }: Request) => {
  if (kind === 'start') return start(asked)
  return kind === 'add' ? asking!.add(asked) : asking!.explain(asked)
}

const handle = async (request: Request): Promise<Answer> => {
  try {
    return { id: request.id, answered: await answer(request) }
  } catch (error) {
    return { id: request.id, refused: error instanceof Error ? error.message : String(error) }
  }
}

let last: Promise<unknown> = Promise.resolve()
process.on('message', (request: Request) => {
  last = last.then(async () => process.send?.(await handle(request)))
})
process.once('disconnect', leave)
// While it plans, the process hears nothing; a thread sees whether its parent is still there.
new Worker(
  new URL(import.meta.url.endsWith('.ts') ? './watch.ts' : './watch.js', import.meta.url),
  {
    workerData: { parent: process.ppid, folders },
  },
).unref()
