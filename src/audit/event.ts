import type { Context } from '../platform/context.ts'
import { sha256 } from '../platform/crypto/hash.ts'
import { mac } from '../platform/crypto/mac.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { findRevisions } from '../platform/db/revisions.ts'
import { newId } from '../platform/id.ts'
import * as repository from './repository.ts'

/** One change, as the log keeps it. */
export type Change = {
  /** The noun and what happened to it, past tense: `grant.created`. */
  event: string
  /** What changed: `grant:grt_01h…`. */
  resource: string
  /** Whom it concerns, if anyone. */
  subject?: string
  workspaceId?: string | null
  /** As the API shows them. */
  before?: unknown
  after?: unknown
  reason?: string | null | undefined
}

/** Members whose values never enter the log. */
const SECRET = /secret|token|password|authorization/i

const withoutSecrets = (name: string, value: unknown) =>
  name !== '' && SECRET.test(name) && typeof value === 'string' ? '[secret]' : value

/** What an event takes from the request it is about. */
export type Recorded = Pick<Context, 'actor' | 'auditKey' | 'now' | 'organizationId' | 'requestId'>

/**
 * Writes one event and answers where the organization and the platform stand; `written` is to be awaited, beside whatever
 * else goes to the database then.
 *
 * The body is text and its exact bytes are hashed (leaf of RFC 6962: SHA-256 of 0x00 ‖ body) and authenticated with a key
 * that is not in the database, so that an edit shows before the log is sealed, too.
 */
export const writeEvent = async (
  tx: Transaction,
  context: Recorded,
  outcome: 'success' | 'denied',
  { workspaceId = null, subject, ...change }: Change & { count?: number },
) => {
  const log = context.organizationId || 'platform'
  const { revision, platformRevision } = await findRevisions(tx, log)
  const reached = revision ?? platformRevision
  const [id, at] = [newId('evt'), context.now().toISOString()]
  const body = JSON.stringify(
    {
      id,
      log,
      at,
      actor: context.actor.subject,
      apiKeyId: context.actor.apiKeyId,
      subject,
      workspaceId,
      requestId: context.requestId,
      revision: reached,
      ...change,
    },
    withoutSecrets,
  )
  const leaf = await leafOf(body)
  const authenticator = await mac(context.auditKey, authenticated(log, id, leaf))
  const written = repository.insertEvent(tx, {
    log,
    id,
    organizationId: context.organizationId || null,
    workspaceId,
    at,
    event: change.event,
    actor: context.actor.subject,
    apiKeyId: context.actor.apiKeyId,
    resource: change.resource,
    subject: subject ?? null,
    outcome,
    requestId: context.requestId,
    revision: reached,
    body,
    leaf,
    mac: authenticator,
    macKeyId: context.auditKey.id,
  })
  return { id, revision, platformRevision, written }
}

const encoder = new TextEncoder()

const leafOf = (body: string) => {
  const text = encoder.encode(body)
  const bytes = new Uint8Array(text.length + 1)
  bytes.set(text, 1)
  return sha256(bytes)
}

const authenticated = (log: string, id: string, leaf: Uint8Array) => {
  const name = encoder.encode(`${log}\n${id}\n`)
  const bytes = new Uint8Array(name.length + leaf.length)
  bytes.set(name)
  bytes.set(leaf, name.length)
  return bytes
}
