import { connect, createServer, type Server, type Socket } from 'node:net'

/**
 * Embedded storage has one session, and its socket server mixes up the messages of several connections
 * (docs/decisions/0001-one-embedded-connection.md). Here connections take turns: one speaks until its transaction is over,
 * and what the others say meanwhile waits.
 */
export type Turns = { port: number; stop: () => Promise<void> }

const SSL_REQUEST = 80_877_103
const CANCEL_REQUEST = 80_877_102
/** Messages of a client that the server answers by saying that it is ready: Query, Sync, FunctionCall. */
const ENDS_EXCHANGE = new Set(['Q', 'S', 'F'])
const TERMINATE = 'X'
const READY = 'Z'
const IDLE = 'I'

/** Cuts a stream of bytes into messages of PostgreSQL's protocol; `isFirst` ones have no type. */
const createReader = (onMessage: (type: string, message: Buffer) => void, hasFirst: boolean) => {
  let rest: Buffer = Buffer.alloc(0)
  let isFirst = hasFirst
  return (bytes: Buffer) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    for (;;) {
      const typeLength = isFirst ? 0 : 1
      if (rest.length < typeLength + 4) return
      const length = typeLength + rest.readUInt32BE(typeLength)
      if (rest.length < length) return
      const message = rest.subarray(0, length)
      rest = rest.subarray(length)
      const type = isFirst ? '' : String.fromCharCode(message[0]!)
      if (isFirst && length === 8 && message.readUInt32BE(4) === SSL_REQUEST)
        onMessage('ssl', message)
      else {
        isFirst = false
        onMessage(type, message)
      }
    }
  }
}

/** Who speaks, and who waits to. */
const createQueue = () => {
  const waiting: (() => void)[] = []
  let isTaken = false
  return {
    take: (): Promise<void> => {
      if (isTaken) return new Promise((resolve) => waiting.push(resolve))
      isTaken = true
      return Promise.resolve()
    },
    pass: () => {
      const next = waiting.shift()
      if (next) next()
      else isTaken = false
    },
  }
}

/** One client over a connection of its own to the session that all share. */
const serveClient = (near: Socket, far: Socket, queue: ReturnType<typeof createQueue>) => {
  let state: 'silent' | 'waiting' | 'speaking' | 'gone' = 'silent'
  /** Exchanges that are not answered yet, and whether the last one is still being asked. */
  let [pending, isOpen] = [0, false]
  const said: Buffer[] = []

  const speak = () => {
    state = 'speaking'
    for (const message of said.splice(0)) far.write(message)
  }
  const take = () => {
    state = 'waiting'
    void queue.take().then(() => (state === 'gone' ? queue.pass() : speak()))
  }
  const hear = createReader((type, message) => {
    if (type === 'ssl') return void near.write('N')
    if (type === '' && message.readUInt32BE(4) === CANCEL_REQUEST) return void near.destroy()
    if (type === TERMINATE) return void near.end()
    isOpen = type !== '' && !ENDS_EXCHANGE.has(type)
    if (!isOpen) pending++
    if (state === 'speaking') return void far.write(message)
    said.push(message)
    if (state === 'silent') take()
  }, true)
  const answer = createReader((type, message) => {
    near.write(message)
    if (type !== READY) return
    pending--
    const isIdle = String.fromCharCode(message[5]!) === IDLE
    if (state !== 'speaking' || !isIdle || pending > 0 || isOpen) return
    state = 'silent'
    queue.pass()
  }, false)

  const leave = () => {
    const wasSpeaking = state === 'speaking'
    state = 'gone'
    near.destroy()
    // The socket server takes back what a client leaves open when its connection ends.
    far.end()
    if (wasSpeaking) far.once('close', queue.pass)
    if (wasSpeaking && far.destroyed) queue.pass()
  }
  near.on('data', hear).on('error', leave).once('close', leave)
  far
    .on('data', answer)
    .on('error', () => near.destroy())
    .once('close', () => near.destroy())
}

/** Serves an embedded database on this machine; clients connect as to any PostgreSQL, without TLS. */
export const serveInTurns = async (socketPath: string, port: number): Promise<Turns> => {
  const queue = createQueue()
  const sockets = new Set<Socket>()
  const server: Server = createServer((near) => {
    const far = connect(socketPath)
    for (const socket of [near, far])
      sockets.add(socket.once('close', () => sockets.delete(socket)))
    serveClient(near, far, queue)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as { port: number }).port,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
