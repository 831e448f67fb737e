import autocannon from 'autocannon'

// The load generator: a process of its own, told what to do by messages. It checks every answer that it gets.

/** A request with what its answer must look like. */
export type Shot = {
  readonly body: string
  /** The answer, without its spaces, holds this text as often as `times` says. */
  readonly expect: string
  readonly times: number
}

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
  /** Other statuses than 2xx, broken connections, timeouts. */
  readonly failed: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const targets = new Map<string, Target>()

const holds = (answer: string, { expect, times }: Shot): boolean => {
  let count = 0
  for (let at = answer.indexOf(expect); at >= 0; at = answer.indexOf(expect, at + 1)) count += 1
  return count === times
}

const fire = async (target: Target, seconds: number): Promise<Volley> => {
  const { url, headers, shots, connections } = target
  let clients = 0
  let wrong = 0
  const result = await autocannon({
    url,
    connections,
    duration: seconds,
    timeout: 20,
    setupClient: (client) => {
      // Each connection asks questions of its own, in its own order.
      const first = clients++
      const own = shots.filter((_, at) => at % connections === first)
      const requests = own.map(({ body }) => ({
        method: 'POST' as const,
        path: new URL(url).pathname,
        headers,
        body,
      }))
      client.setRequests(requests)
      let next = 0
      const verifyBody = (body: string) => {
        if (!holds(body, own[next++ % own.length]!)) wrong += 1
        return true
      }
      // Answers come in the order of the questions; the per-request callback would copy every header.
      Object.assign((client as unknown as { opts: object }).opts, { verifyBody })
    },
  })
  return {
    answers: result['2xx'],
    seconds: result.duration,
    wrong,
    failed: result.non2xx + result.errors + result.timeouts,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
  }
}

process.on('message', async (order: Order) => {
  if ('aim' in order) targets.set(order.aim, order.target)
  else process.send?.(await fire(targets.get(order.fire)!, order.seconds))
})
process.on('disconnect', () => process.exit())
