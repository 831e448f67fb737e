import { Agent, request } from 'node:http'

/** An answer with how long it took, from the sending of the question to the last byte. */
export type Answered = { readonly status: number; readonly text: string; readonly ms: number }

/** Sends JSON over kept connections, at most so many at once. */
export const createAsker = (headers: Readonly<Record<string, string>>, connections = 1) => {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const ask = (url: string, body: string, method = 'POST') =>
    new Promise<Answered>((resolve, reject) => {
      const started = performance.now()
      const sent = request(
        url,
        {
          agent,
          method,
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            ...headers,
          },
        },
        (response) => {
          let text = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => {
            text += chunk
          })
          response.on('error', reject)
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text, ms: performance.now() - started }),
          )
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  return { ask, close: () => agent.destroy() }
}

export type Asker = ReturnType<typeof createAsker>

/** Does the work for each value, so many at once. */
export const eachOf = async <Value>(
  values: readonly Value[],
  atOnce: number,
  work: (value: Value, at: number) => Promise<void>,
): Promise<void> => {
  let next = 0
  const worker = async () => {
    while (next < values.length) {
      const at = next++
      await work(values[at]!, at)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
