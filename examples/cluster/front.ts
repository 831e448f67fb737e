import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'

/** What stands in front of the nodes, and how to end it. */
export type Front = { url: string; stop: () => Promise<void> }

/**
 * A small load balancer: each request goes to the next node in turn, and to the one after it where the connection is refused.
 * For a real one see nginx.conf; this one keeps the example in one process.
 */
export const openFront = async (nodes: readonly string[], port: number): Promise<Front> => {
  let turn = 0
  const server = createServer((incoming, outgoing) => {
    const order = nodes.map((_, index) => nodes[(turn + index) % nodes.length]!)
    turn++
    forward(order, incoming, outgoing)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const forward = (
  [node, ...others]: readonly string[],
  incoming: IncomingMessage,
  outgoing: ServerResponse,
) => {
  if (!node) return outgoing.writeHead(502).end('no node answers\n')
  const { method, headers, url = '/' } = incoming
  const client = incoming.socket.remoteAddress ?? ''
  const asked = request(
    new URL(url, node),
    { method, headers: { ...headers, 'x-forwarded-for': client } },
    (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    },
  )
  asked.on('error', (error: NodeJS.ErrnoException) => {
    // Nothing of the body was read before the connection stood, so it can be sent to another node.
    if (error.code === 'ECONNREFUSED') forward(others, incoming, outgoing)
    else if (outgoing.headersSent) outgoing.destroy()
    else outgoing.writeHead(502).end('the node broke off\n')
  })
  asked.on('socket', (socket) => {
    if (socket.connecting) socket.once('connect', () => incoming.pipe(asked))
    else incoming.pipe(asked)
  })
}
