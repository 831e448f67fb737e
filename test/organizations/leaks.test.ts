import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWorkers, type Workers } from '../../src/platform/jobs/workers.ts'
import type { Log } from '../../src/platform/log.ts'
import { createSmtp } from '../../src/platform/mail/smtp.ts'
import { createSend } from '../../src/platform/node/send.ts'
import { type Issuer, startIssuer } from '../support/issuer.ts'
import { startMailbox, tokenIn } from '../support/mailbox.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { until } from '../support/until.ts'
import { type Receiver, startReceiver } from '../webhooks/receiver.ts'

// Logging is an allow-list of fields: what is written anywhere about an invitation says neither its token, nor its address,
// nor the key or the token of who asked.

let server: TestServer
let issuer: Issuer
let mailbox: Awaited<ReturnType<typeof startMailbox>>
let smtp: ReturnType<typeof createSmtp>
let receiver: Receiver
let workers: Workers
const lines: string[] = []

/** An error as a log shows it: with all it carries. */
const written = (_: string, value: unknown) =>
  value instanceof Error ? { ...value, message: value.message, stack: value.stack } : value
const keep = (fields: object, message: string) =>
  void lines.push(JSON.stringify({ message, ...fields }, written))
const log: Log = { debug: keep, info: keep, warn: keep, error: keep }

beforeAll(async () => {
  issuer = await startIssuer()
  mailbox = await startMailbox()
  receiver = await startReceiver()
  smtp = createSmtp({ url: mailbox.url, from: 'Latchkey <no-reply@latchkey.example>' })
  server = await startTestServer({
    log,
    jwt: issuer.settings,
    sendMail: smtp.send,
    invitationUrl: 'https://app.example/join#{token}',
    webhookPrivateAddresses: true,
    send: createSend({ privateAddresses: true }),
  })
  const queues = ['email', 'webhook', 'maintenance'] as const
  workers = await startWorkers({
    ...server.jobs.runOptions(server.sql),
    log,
    version: 'test',
    queues: [...queues],
    pollMs: 50,
  })
  server.jobs.onWake(workers.wake)
})
afterAll(async () => {
  await workers.stop(1000)
  smtp.stop()
  await receiver.stop()
  await server.drop()
  await mailbox.stop()
  await issuer.stop()
})

/** Every row of every table that tells what happened, as text. */
const findTold = async () => {
  const tables = [
    ...['audit_events', 'webhook_deliveries', 'jobs', 'finished_jobs', 'job_attempts'],
    ...['policy_changes', 'job_effects'],
  ]
  const rows = []
  for (const table of tables) {
    const found = await server.sql.unsafe<{ text: string }[]>(
      `select to_jsonb(t)::text as text from ${table} t`,
    )
    rows.push(...found.map(({ text }) => `${table} ${text}`))
  }
  return rows
}

test('no token, key or address of an invitation is in any log, event, message or job', async () => {
  const { path, keyFor } = await server.newOrganization()
  const hook = { url: receiver.url('/all'), events: ['*'] }
  expect((await server.call(`POST ${path}/webhooks`, hook)).status).toBe(201)
  const inviter = await keyFor({ roles: ['admin'] })
  const addresses = ['zoe.miller', 'yan.okafor', 'ida.lindqvist'].map(
    (name) => `${name}@example.com`,
  )
  const people = await Promise.all(
    addresses.map((email, index) => issuer.tokenOf(`p${index}`, { email, email_verified: true })),
  )
  const stranger = await issuer.tokenOf('eve', {
    email: 'eve.stranger@example.com',
    email_verified: true,
  })
  const accept = (token: string, key: string) =>
    server.call('POST /v1/invitations/accept', { token }, { key })

  // A mail server that is away the first time, and says whom it did not take.
  mailbox.state.refuses = 451
  const ids: string[] = []
  for (const email of addresses) {
    const { body } = await server.call(`POST ${path}/invitations`, { email }, { key: inviter })
    ids.push(body.id)
  }
  await until(
    async () =>
      (await server.sql`select 1 from jobs where queue = 'email' and attempts > 0`).length > 0,
  )
  mailbox.state.refuses = undefined
  await server.sql`update jobs set run_at = clock_timestamp() where queue = 'email' and state = 'scheduled'`
  workers.wake(['email'])
  const tokens = []
  for (const email of addresses) tokens.push(tokenIn(await mailbox.mailTo(email)))
  await server.call(`POST ${path}/invitations/${ids[2]}/resend`, undefined, { key: inviter })
  tokens.push(tokenIn(await mailbox.mailTo(addresses[2]!, 2)))

  const csv = {
    csv: `email,roles\n${addresses[1]},\nnot.an-address@@example,\nnew.person@example.com,wizard`,
  }
  const answers = [
    await server.call(`POST ${path}/invitations/bulk`, csv, { key: inviter }),
    await server.call(`POST ${path}/invitations`, { email: addresses[0] }, { key: inviter }),
    await server.call(`POST ${path}/invitations`, `{"email":"${addresses[0]}"`, { key: inviter }),
    await accept(tokens[0]!, stranger),
    await accept(tokens[0]!, `${inviter.slice(0, -1)}x`),
    await accept(tokens[0]!, people[0]!),
    await accept(tokens[0]!, people[0]!),
    await accept(tokens[2]!, people[2]!),
    await server.call('POST /v1/invitations/decline', { token: tokens[1] }, { key: null }),
    await server.call('POST /v1/invitations/decline', { token: tokens[1] }, { key: null }),
    await server.call(`DELETE ${path}/invitations/${ids[2]}`, undefined, { key: inviter }),
  ]
  expect(answers.map(({ status }) => status)).toEqual([
    200, 409, 400, 404, 401, 200, 404, 404, 204, 404, 204,
  ])
  await receiver.take('/all', 6)
  await server.denials.flush()

  const told = [
    ...lines.map((line) => `log ${line}`),
    ...(await findTold()),
    ...receiver.at('/all').map(({ body, headers }) => `message ${body} ${JSON.stringify(headers)}`),
    // An answer of a change echoes the address to who wrote it, and to nobody else.
    ...answers
      .slice(2)
      .map(({ body, headers }) => `answer ${JSON.stringify([body, [...headers]])}`),
  ]
  // It is told, with as much of the address as tells it from others.
  expect(told.some((line) => line.includes('z…@example.com'))).toBe(true)
  const secrets = [
    ...[...tokens, inviter, stranger, ...people, server.adminKey],
    ...[...addresses, 'eve.stranger@', 'new.person@', 'not.an-address@'],
  ]
  for (const secret of secrets)
    expect([secret, told.filter((line) => line.includes(secret))]).toEqual([secret, []])
})
