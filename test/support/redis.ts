import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type Breakable, startBreakable } from './guarded.ts'
import { canInstall, installPackage, onPath } from './installed.ts'
import { type Provided, skipped } from './provided.ts'

/** A Redis server: the one REDIS_URL names, else an installed one, else a package's. */
export const provideRedis = async (): Promise<Provided> => {
  const url = process.env.REDIS_URL
  if (url) return { url, stop: async () => {}, how: 'REDIS_URL' }

  const missing = await installIfMissing()
  if (missing) return skipped(missing)
  const server = await startRedis()
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8', timeout: 5_000 })
  const how = `Redis ${/v=([\d.]+)/.exec(stdout)?.[1] ?? ''} of ${onPath('redis-server')}`
  return { url: server.url, stop: server.stop, how }
}

/** Makes sure that there is a redis-server to start; answers why there is none, or nothing. */
const installIfMissing = async (): Promise<string | undefined> => {
  if (onPath('redis-server')) return undefined
  const missing = 'no redis-server here, and REDIS_URL is not set.'
  if (!canInstall()) return missing
  const problem = await installPackage('redis-server')
  return onPath('redis-server') ? undefined : `${missing} apt-get did not help: ${problem}`
}

/** Starts a Redis server of its own, for tests that stop, freeze, flush or fill one. */
export const startRedis = async (settings: string[] = []): Promise<Breakable & { url: string }> => {
  const password = randomBytes(12).toString('hex')
  const server = await startBreakable({
    name: 'redis',
    accounts: ['redis', 'nobody'],
    files: (port) => ({
      'redis.conf': [
        'bind 127.0.0.1',
        `port ${port}`,
        `requirepass ${password}`,
        'save ""',
        'appendonly no',
        ...settings,
        '',
      ].join('\n'),
    }),
    command: () => ['redis-server', 'redis.conf'],
    ready: (_, port) => answers(port, `AUTH ${password}\r\nPING\r\n`, '+OK\r\n+PONG\r\n'),
    stopSignal: 'TERM',
  })
  return { ...server, url: `redis://:${password}@127.0.0.1:${server.port}` }
}

const answers = async (port: number, question: string, answer: string) => {
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout(1_000, () => socket.destroy(new Error('No answer.')))
  try {
    await once(socket, 'connect')
    socket.write(question)
    let heard = ''
    for await (const chunk of socket) {
      heard += chunk
      if (heard.length >= answer.length) break
    }
    return heard === answer
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
