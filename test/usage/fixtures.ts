import { type Answer, type CallOptions, startTestServer } from '../support/server.ts'

type Options = Parameters<typeof startTestServer>[0]

/** A server on which organizations start on the smallest plan. */
export const startOnFree = (options: Options = {}) =>
  startTestServer({ defaultPlan: 'free', ...options })
export type FreeServer = Awaited<ReturnType<typeof startOnFree>>

let keys = 0
/** What happens to one organization, in few words. */
export const usageOf = (server: FreeServer, { path, id }: { path: string; id: string }) => {
  const { call, sql } = server
  return {
    /** Reports use; with a key of its own unless one is named. */
    report: (meter: string, amount: number, idempotencyKey = `report-${keys++}`): Promise<Answer> =>
      call(
        `POST ${path}/usage`,
        { meter, amount },
        { headers: { 'idempotency-key': idempotencyKey } },
      ),
    reserve: (meter: string, amount: number, expiresInSeconds = 60) =>
      call(`POST ${path}/usage/reservations`, { meter, amount, expiresInSeconds }),
    end: (what: 'commit' | 'release', reservation: string, body?: object) =>
      call(`POST ${path}/usage/reservations/${reservation}/${what}`, body),
    join: (user: string, options?: CallOptions) =>
      call(`PUT ${path}/members/${user}`, { roles: ['viewer'] }, options),
    invite: (email: string) => call(`POST ${path}/invitations`, { email, roles: ['viewer'] }),
    plan: (plan: string, query = '') => call(`PUT ${path}/plan${query}`, { plan }),
    override: (limits: object, more: object = {}) =>
      call(`PUT ${path}/limits`, { limits, reason: 'a test', ...more }),
    /** One limit as it stands. */
    limit: async (name: string) => {
      const { body } = await call(`GET ${path}/limits`)
      return body.items.find(({ limit }: { limit: string }) => limit === name)
    },
    /** What the database counted of a meter, and how many rows hold a seat. */
    seats: async () => {
      const [row] = await sql<{ counted: number; held: number }[]>`
        select (select used from usage where organization_id = ${id} and meter = 'members') as counted,
          (select count(*) from members where organization_id = ${id} and status = 'active' and subject not like 'service:%')
          + (select count(*) from invitations where organization_id = ${id} and status = 'pending') as held`
      return row!
    },
  }
}
