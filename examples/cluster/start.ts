import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, styleText } from 'node:util'
import { providePostgres } from '../../test/support/postgres.ts'
import { openFront } from './front.ts'
import { startNode } from './nodes.ts'
import { provideCacheAndQueue } from './redis.ts'
import { openRounds } from './rounds.ts'

// Three nodes behind one PostgreSQL and one Redis, on this machine, until Ctrl-C.

const { values: options } = parseArgs({
  options: {
    /** The port of the front; the nodes take any that are free. */
    port: { type: 'string', default: '8080' },
    /** How many rounds to show; without it, until Ctrl-C. */
    rounds: { type: 'string' },
  },
})

const say = (name: string, text: string) =>
  console.log(`${styleText('bold', name.padEnd(12))}${text}`)
const toEnd: (() => unknown)[] = []
/** Ends in the opposite order what was started. */
const end = async () => {
  for (const stop of toEnd.splice(0).reverse()) await stop()
}
const stopped = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort())

const start = async () => {
  const postgres = await providePostgres()
  if ('skip' in postgres) throw new Error(postgres.skip)
  toEnd.push(postgres.stop)
  say('PostgreSQL', postgres.how)
  const redis = await provideCacheAndQueue()
  toEnd.push(redis.stop)
  say('Redis', redis.how)

  const folder = await mkdtemp(join(tmpdir(), 'latchkey-cluster-'))
  toEnd.push(() => rm(folder, { recursive: true, force: true }))
  const key = `lk_${randomBytes(24).toString('base64url')}`
  const shared = {
    DATABASE_URL: postgres.url,
    ...redis.settings,
    LATCHKEY_ADMIN_KEY: key,
    LATCHKEY_DEMO: 'off',
    // The same on every node: what one has sealed, another opens.
    AUDIT_MAC_KEY: randomBytes(32).toString('hex'),
    DATA_KEY: randomBytes(32).toString('hex'),
    TRUSTED_PROXIES: '127.0.0.1',
    DATA_DIR: folder,
    PORT: '0',
  }
  const startOne = async () => {
    const node = await startNode(shared)
    toEnd.push(node.stop)
    return node.url
  }
  // One of them brings the database up to date while the others wait.
  const urls = await Promise.all([startOne(), startOne(), startOne()])
  urls.forEach((url, index) => {
    say(`node ${index + 1}`, styleText('cyan', url))
  })
  const front = await openFront(urls, Number(options.port))
  toEnd.push(front.stop)
  say('front', styleText(['green', 'bold'], front.url))
  say('key', key)
  return { front, urls, key }
}

const took = (ms: number) => `${ms.toFixed(1)} ms`.padStart(10)

const show = async ({ front, urls, key }: Awaited<ReturnType<typeof start>>) => {
  const rounds = await openRounds(front.url, urls, key)
  toEnd.push(() => rounds.close().catch(() => {}))
  console.log(`\n${styleText('dim', 'round  given on 1, allowed on 3   taken on 2, denied on 3')}`)
  for (let round = 1; round <= Number(options.rounds ?? Infinity); round++) {
    if (stopped.signal.aborted) return
    const { allowedMs, deniedMs } = await rounds.round()
    const given = styleText('green', `allowed after ${took(allowedMs)}`)
    const taken = styleText('red', `denied after ${took(deniedMs)}`)
    console.log(`${String(round).padStart(5)}  ${given}   ${taken}`)
    await sleep(1000, undefined, { signal: stopped.signal }).catch(() => {})
  }
}

try {
  await show(await start())
} catch (error) {
  console.error(`${styleText('red', 'cluster:')} ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  await end()
}
