import { connect, type Socket } from 'node:net'
import { bodyOf, holds, type Shot } from './answers.ts'
import { median, percentile } from './figures.ts'

// The load generator: a process of its own, told what to do by messages. It checks every answer that it gets. It writes
// finished requests and reads no more of an answer than its length: one core must be enough to keep a server's core busy.

export type Target = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly shots: readonly Shot[]
  readonly connections: number
}

/** `aim` is sent once for each contestant, `fire` for each turn. */
export type Order =
  | { readonly aim: string; readonly target: Target }
  | { readonly fire: string; readonly seconds: number }

export type Volley = {
  readonly answers: number
  readonly seconds: number
  /** Answers that were not those known. */
  readonly wrong: number
  /** Other statuses than 2xx, and connections that broke or fell silent. */
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
}

type Loaded = Shot & { readonly bytes: Buffer }
type Aimed = { readonly host: string; readonly port: number; readonly lists: Loaded[][] }

const SILENCE_MS = 20_000

const load = ({ url, headers, shots, connections }: Target): Aimed => {
  const { hostname, port, host, pathname } = new URL(url)
  const head = Object.entries({ host, connection: 'keep-alive', ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
  const loaded = shots.map((shot) => {
    const length = Buffer.byteLength(shot.body)
    const text = `POST ${pathname} HTTP/1.1\r\n${head}content-length: ${length}\r\n\r\n${shot.body}`
    return { ...shot, bytes: Buffer.from(text) }
  })
  // Each connection asks questions of its own.
  const lists = Array.from({ length: connections }, (_, first) =>
    loaded.filter((_shot, at) => at % connections === first),
  )
  return { host: hostname, port: Number(port), lists }
}

type Tally = { wrong: number; failed: number; until: number; readonly times: number[] }

/** Asks one question after another over one connection until the time is up. */
const shoot = ({ host, port }: Aimed, list: readonly Loaded[], tally: Tally) =>
  new Promise<void>((resolve) => {
    const socket: Socket = connect({ host, port, noDelay: true })
    let next = 0
    let text = ''
    let sentAt = 0
    const send = () => {
      sentAt = performance.now()
      socket.write(list[next % list.length]!.bytes)
    }
    const end = (failed: number) => {
      tally.failed += failed
      socket.removeAllListeners()
      socket.on('error', () => {})
      socket.destroy()
      resolve()
    }
    socket.setTimeout(SILENCE_MS, () => end(1))
    socket.on('error', () => end(1))
    socket.on('close', () => end(1))
    socket.on('connect', send)
    socket.on('data', (chunk) => {
      text = text === '' ? chunk.toString('latin1') : text + chunk.toString('latin1')
      const body = bodyOf(text)
      if (body === undefined) return
      if (text.charCodeAt(9) !== 50) tally.failed += 1
      else if (!holds(body, list[next % list.length]!)) tally.wrong += 1
      const now = performance.now()
      tally.times.push(now - sentAt)
      text = ''
      next += 1
      if (now < tally.until) send()
      else end(0)
    })
  })

const fire = async (aimed: Aimed, seconds: number): Promise<Volley> => {
  const started = performance.now()
  const tally: Tally = { wrong: 0, failed: 0, until: started + 1000 * seconds, times: [] }
  await Promise.all(aimed.lists.map((list) => shoot(aimed, list, tally)))
  return {
    answers: tally.times.length - tally.failed,
    seconds: (performance.now() - started) / 1000,
    wrong: tally.wrong,
    failed: tally.failed,
    p50Ms: median(tally.times),
    p99Ms: percentile(tally.times, 0.99),
  }
}

if (process.send) {
  const targets = new Map<string, Aimed>()
  process.on('message', async (order: Order) => {
    if ('aim' in order) targets.set(order.aim, load(order.target))
    else process.send?.(await fire(targets.get(order.fire)!, order.seconds))
  })
  process.on('disconnect', () => process.exit())
}
