import type { Queryable, Transaction } from '../platform/db/connect.ts'

/** A row of the log, as it is inserted. */
export type AuditEventRow = {
  log: string
  id: string
  organizationId: string | null
  workspaceId: string | null
  at: string
  event: string
  actor: string
  apiKeyId: string | null
  resource: string
  subject: string | null
  outcome: 'success' | 'denied'
  requestId: string
  revision: number
  body: string
  leaf: Uint8Array
  mac: Uint8Array
  macKeyId: string
}

/** Inserts one event; nothing is read and nothing is locked. */
export const insertEvent = (tx: Transaction, event: AuditEventRow) =>
  tx`insert into audit_events ${tx(event as never)}`

/** An event as its exact text. */
export const findEventBody = async (tx: Queryable, log: string, id: string) => {
  const [found] = await tx<
    { body: string }[]
  >`select body from audit_events where log = ${log} and id = ${id}`
  return found!.body
}

/** Where the organization (or the platform) and the platform stand inside this transaction. */
export const findRevision = async (tx: Queryable, log: string) => {
  const [row] = await tx<{ revision: number | null; platformRevision: number }[]>`
    select p.revision as platform_revision, o.revision
    from platform p left join organizations o on o.id = ${log}`
  return row!
}
