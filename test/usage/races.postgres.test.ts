import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Sql, Transaction } from '../../src/platform/db/connect.ts'
import { connect } from '../../src/platform/db/connect.ts'
import { newId } from '../../src/platform/id.ts'
import { startWithMail } from '../invitations/fixtures.ts'
import { tokenIn } from '../support/mailbox.ts'
import { type FreeServer, startOnFree, usageOf } from './fixtures.ts'

const LEVELS = ['read committed', 'repeatable read', 'serializable'] as const

let server: FreeServer
let sql: Sql
beforeAll(async () => {
  server = await startOnFree()
  sql = connect(server.database.target, { connectionsMax: 20 })
})
afterAll(async () => {
  await sql.end({ timeout: 5 })
  await server.drop()
})

const codeOf = (error: unknown) => (error as { code?: string }).code ?? String(error)

/** Runs one statement inside the organization, as requests do; repeats it where PostgreSQL asks for that. */
const attempt = async (
  level: (typeof LEVELS)[number],
  organizationId: string,
  work: (tx: Transaction) => Promise<unknown>,
): Promise<string> => {
  for (let attempts = 0; attempts < 1000; attempts++) {
    try {
      await sql.begin(`isolation level ${level}`, async (tx) => {
        await tx`select set_config('role', 'latchkey_app', true), set_config('latchkey.organization', ${organizationId}, true)`
        await work(tx as Transaction)
      })
      return 'done'
    } catch (error) {
      const code = codeOf(error)
      if (code !== '40001' && code !== '40P01') return code
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20))
    }
  }
  return 'starved'
}

const tally = (results: readonly string[]) =>
  Object.fromEntries(
    [...Map.groupBy(results, (result) => result)].map(([key, all]) => [key, all.length]),
  )

describe.each(LEVELS)('at isolation level %s', (level) => {
  test('of sixty who join or are invited at once, exactly five hold a seat', async () => {
    const organization = await server.newOrganization()
    const { id } = organization
    const results = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        attempt(level, id, async (tx) => {
          await tx`select revision from organizations where id = ${id} for no key update`
          await (n % 2
            ? tx`insert into members (organization_id, subject) values (${id}, ${`user:m${n}`})`
            : tx`insert into invitations (id, organization_id, email, invited_by, inviter, expires_at)
                 values (${newId('inv')}, ${id}, ${`m${n}@example.com`}, 'user:alice', '{}', now() + interval '7 days')`)
        }),
      ),
    )
    expect(tally(results)).toEqual({ done: 4, LK001: 56 })
    expect(await usageOf(server, organization).seats()).toEqual({ counted: 5, held: 5 })
  })

  test('of sixty reservations of one, exactly ten hold', async () => {
    const organization = await server.newOrganization()
    const usage = usageOf(server, organization)
    await usage.override({ maxExecutionsPerMonth: 10 })
    const results = await Promise.all(
      Array.from({ length: 60 }, () =>
        attempt(
          level,
          organization.id,
          (
            tx,
          ) => tx`insert into usage_reservations (id, organization_id, meter, amount, reserved_by, expires_at)
            values (${newId('rsv')}, ${organization.id}, 'executions', 1, 'user:alice', now() + interval '1 minute')`,
        ),
      ),
    )
    expect(tally(results)).toEqual({ done: 10, LK001: 50 })
    expect(await usage.limit('maxExecutionsPerMonth')).toMatchObject({ used: 0, reserved: 10 })
  })

  test('one report that is sent thirty times is counted once', async () => {
    const organization = await server.newOrganization()
    const { id } = organization
    const results = await Promise.all(
      Array.from({ length: 30 }, () =>
        attempt(
          level,
          id,
          (
            tx,
          ) => tx`insert into usage_reports (organization_id, idempotency_key, meter, amount, reported_by)
            values (${id}, 'run-1', 'executions', 7, 'user:alice') on conflict do nothing`,
        ),
      ),
    )
    expect(tally(results)).toEqual({ done: 30 })
    const usage = usageOf(server, organization)
    expect(await usage.limit('maxExecutionsPerMonth')).toMatchObject({ used: 7, reserved: 0 })
  })

  test('reservations that are committed, released and expired at once end once', async () => {
    const organization = await server.newOrganization()
    const usage = usageOf(server, organization)
    const made = await Promise.all(
      Array.from({ length: 20 }, () => usage.reserve('executions', 10)),
    )
    const results = await Promise.all(
      made.flatMap(({ body }) =>
        ['committed', 'released', 'expired'].map((status) =>
          attempt(
            level,
            organization.id,
            (tx) => tx`update usage_reservations set status = ${status}, ended_at = now(),
              used = ${status === 'committed' ? 4 : 0} where id = ${body.id}`,
          ),
        ),
      ),
    )
    expect(tally(results)).toEqual({ done: 20, LK009: 40 })
    const [row] = await server.sql`select sum(used) as used from usage_reservations
      where organization_id = ${organization.id}`
    expect(await usage.limit('maxExecutionsPerMonth')).toMatchObject({
      used: Number(row!.used),
      reserved: 0,
    })
  })
})

describe('over HTTP', () => {
  test('of sixty who join or are invited at once, four do', async () => {
    const organization = await server.newOrganization()
    const usage = usageOf(server, organization)
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        n % 2 ? usage.join(`m${n}`) : usage.invite(`m${n}@example.com`),
      ),
    )
    expect(answers.filter(({ status }) => status < 300)).toHaveLength(4)
    const refused = answers.filter(({ status }) => status >= 300)
    expect(tally(refused.map(({ status, body }) => `${status} ${body.code}`))).toEqual({
      '409 limit-reached': 56,
    })
    expect(await usage.seats()).toEqual({ counted: 5, held: 5 })
  })

  test('one report that is sent thirty times is counted once and answers the same', async () => {
    const usage = usageOf(server, await server.newOrganization())
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => usage.report('executions', 1000, 'run-1')),
    )
    expect(
      new Set(answers.map(({ status, body }) => `${status} ${JSON.stringify(body)}`)),
    ).toHaveLength(1)
    expect(answers[0]!.body).toMatchObject({ allowed: true, used: 1000, remaining: 0 })
  })

  test('of sixty reservations of a hundred, ten hold', async () => {
    const usage = usageOf(server, await server.newOrganization())
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => usage.reserve('executions', 100)),
    )
    expect(tally(answers.map(({ status }) => String(status)))).toEqual({ 200: 50, 201: 10 })
  })

  test('reports that meet reservations which are over do not wait for each other', async () => {
    const organization = await server.newOrganization()
    const usage = usageOf(server, organization)
    for (let round = 0; round < 5; round++) {
      const made = await Promise.all(
        Array.from({ length: 10 }, () => usage.reserve('executions', 100)),
      )
      expect(made.every(({ status }) => status === 201)).toBe(true)
      await server.sql`update usage_reservations set expires_at = now() where organization_id = ${organization.id}
        and status = 'reserved'`
      const job = server.jobs.handlers.get('usage.expire-reservations')!
      const signal = new AbortController().signal
      const [, ...answers] = await Promise.all([
        job.run({ context: server.context, signal } as never),
        ...Array.from({ length: 10 }, () => usage.report('executions', 1)),
        ...made.map(({ body }) => usage.end('release', body.id)),
      ])
      expect(tally(answers.map((each) => String(each.status)))).toEqual({ 200: 10, 409: 10 })
      const counted = answers.filter(({ body }) => body.allowed).length
      expect(counted).toBeGreaterThan(0)
      // What somebody held at that moment is ended the next time.
      await job.run({ context: server.context, signal } as never)
      expect(await usage.limit('maxExecutionsPerMonth')).toMatchObject({
        used: counted,
        reserved: 0,
      })
      await server.sql`update usage set used = 0 where organization_id = ${organization.id} and meter = 'executions'`
    }
  })
})

describe('acceptance', () => {
  test('of thirty who accept one token at a full organization, one joins; above a lowered limit, too', async () => {
    const world = await startWithMail()
    try {
      for (const limit of [5, 2]) {
        const organization = await world.server.newOrganization()
        const usage = usageOf(world.server as FreeServer, organization)
        await usage.plan('free')
        for (const user of ['b', 'c', 'd']) await usage.join(user)
        const email = `many${limit}@example.com`
        expect((await usage.invite(email)).status).toBe(201)
        expect((await usage.join('e')).status).toBe(409)
        await usage.override({ maxMembers: limit })
        const token = tokenIn(await world.mailbox.mailTo(email))
        const people = await Promise.all(
          Array.from({ length: 30 }, (_, n) => world.person(`p${n}`, email)),
        )
        const answers = await Promise.all(
          people.map((key) => world.server.call('POST /v1/invitations/accept', { token }, { key })),
        )
        expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(29).fill(404)])
        expect(await usage.seats()).toEqual({ counted: 5, held: 5 })
        expect((await usage.join('f')).status).toBe(409)
      }
    } finally {
      await world.stop()
    }
  })
})
