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

/** Whether the log has an event of this kind about one thing. */
export const hasEvent = async (
  tx: Queryable,
  { log, resource, event }: { log: string; resource: string; event: string },
) => {
  const found = await tx`
    select 1 from audit_events where log = ${log} and resource = ${resource} and event = ${event} and outcome = 'success' limit 1`
  return found.length > 0
}
