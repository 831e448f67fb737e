import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { until } from '../support/until.ts'

/** A request as it came over the wire. */
export type Received = {
  path: string
  headers: IncomingHttpHeaders
  /** The exact bytes. */
  body: string
  atMs: number
}

type Answer = (response: ServerResponse, received: Received) => void

/** An answer with a status and nothing else. */
export const status =
  (code: number, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(code, headers).end(`status ${code}`)

/** Never answers. */
export const hang: Answer = () => {}

/** A server of a customer, with an endpoint for each path; what it answers can be changed at any time. */
export const startReceiver = async () => {
  const received: Received[] = []
  const answers = new Map<string, Answer>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const { url: path = '/', headers } = request
      const one = { path, headers, body: Buffer.concat(chunks).toString(), atMs: Date.now() }
      received.push(one)
      const answer = answers.get(path) ?? status(200)
      answer(response, one)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const at = (path: string) => received.filter((each) => each.path === path)
  return {
    port,
    url: (path: string) => `http://127.0.0.1:${port}${path}`,
    answer: (path: string, answer: Answer) => void answers.set(path, answer),
    at,
    /** What came to a path, once it is so much. */
    take: async (path: string, count = 1, timeoutMs = 15_000) => {
      await until(() => at(path).length >= count, timeoutMs)
      return at(path)
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
export type Receiver = Awaited<ReturnType<typeof startReceiver>>
