import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { isPlainQuestion } from '../src/decisions/plain-question.ts'
import { CheckRequest } from '../src/decisions/schema.ts'
import { assemble, openDatabase } from '../src/node.ts'
import { readConfig } from '../src/platform/config.ts'
import { parseJson, readBody, requireJson } from '../src/platform/http/validate.ts'
import { createLog } from '../src/platform/node/log.ts'
import { parse } from '../src/platform/parse.ts'

// What a request costs before anything is decided, on the same framework and adapter as the server:
//   POST /nothing  reads and parses the body, and answers a constant
//   POST /door     authenticates, makes a request id, validates, and answers a constant

const config = readConfig(process.env)
const database = await openDatabase(config, createLog(config.LOG_LEVEL))
const { gate } = await assemble(config, database, createLog(config.LOG_LEVEL))

/** What is answered; PUT /answer makes it as long as the server's. */
let answer = ''

const app = new Hono()
app.get('/ready', (c) => c.text('yes'))
app.put('/answer', async (c) => {
  answer = await c.req.text()
  return c.body(null, 204)
})
app.post('/nothing', async (c) => {
  await c.req.json()
  return new Response(answer, { headers: { 'content-type': 'application/json' } })
})
app.post('/door', async (c) => {
  const opened = gate.open(c)
  const { requestId } = opened instanceof Promise ? await opened : opened
  requireJson(c.req.raw.headers.get('content-type'))
  const body = parseJson(await readBody(c.req.raw))
  if (!isPlainQuestion(body)) parse(CheckRequest, body)
  return new Response(answer, {
    headers: { 'content-type': 'application/json', 'x-request-id': requestId },
  })
})

serve({ fetch: app.fetch, hostname: config.HOST, port: config.PORT })

process.once('SIGTERM', () => process.exit())
