import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

type Asked = { path: string; idempotencyKey: string; form: Record<string, string> }

/**
 * A server of Stripe's API shape: takes checkouts and refunds with the right key only, answers a repeated Idempotency-Key as
 * before, and signs events as Stripe does.
 */
export const startStripe = async () => {
  const [secretKey, webhookSecret] = [
    `sk_${'test'}_${crypto.randomUUID()}`,
    `whsec_${crypto.randomUUID()}`,
  ]
  const asked: Asked[] = []
  const answers = new Map<string, string>()
  let isAway = false
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (piece) => {
      body += piece
    })
    request.on('end', () => {
      const reply = (status: number, answer: object) => {
        response
          .writeHead(status, { 'content-type': 'application/json' })
          .end(JSON.stringify(answer))
      }
      if (isAway) return reply(500, { error: { message: 'away' } })
      if (request.headers.authorization !== `Bearer ${secretKey}`) return reply(401, { error: {} })
      const idempotencyKey = String(request.headers['idempotency-key'] ?? '')
      const form = Object.fromEntries(new URLSearchParams(body))
      const known = answers.get(`${request.url} ${idempotencyKey}`)
      if (known) return reply(200, JSON.parse(known))
      asked.push({ path: request.url ?? '', idempotencyKey, form })
      const id = `${request.url === '/v1/refunds' ? 're' : 'cs'}_${asked.length}_${crypto.randomUUID()}`
      const answer = {
        id,
        url: request.url === '/v1/refunds' ? undefined : `https://pay.example.com/${id}`,
      }
      answers.set(`${request.url} ${idempotencyKey}`, JSON.stringify(answer))
      reply(200, answer)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  let events = 0
  /** The body and the header of an event; `over` plants what an attacker would send. */
  const event = (
    type: string,
    object: object,
    over: { id?: string; atMs?: number; secret?: string } = {},
  ) => {
    const body = JSON.stringify({ id: over.id ?? `evt_${++events}`, type, data: { object } })
    const time = Math.floor((over.atMs ?? Date.now()) / 1000)
    const signature = createHmac('sha256', over.secret ?? webhookSecret)
      .update(`${time}.${body}`)
      .digest('hex')
    return { body, signature: `t=${time},v1=${signature}` }
  }

  return {
    settings: {
      secretKey,
      webhookSecret,
      url: `http://127.0.0.1:${port}`,
      returnUrl: 'https://shop.example.com/back',
    },
    asked,
    event,
    setAway: (away: boolean) => {
      isAway = away
    },
    stop: () => new Promise((resolve) => server.close(resolve)),
  }
}
