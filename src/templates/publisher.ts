import { recordChange } from '../audit/service.ts'
import { getDomain, verifyDomain } from '../domains/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changeOrganization, inOrganization } from '../platform/db/transaction.ts'
import type { ResolveTxt } from '../platform/dns.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { refuseStale } from '../platform/version.ts'
import { findLookAlike } from './look-alike.ts'
import * as repository from './publisher-repository.ts'
import type { Publisher, PutPublisher, Verification, VerifyPublisher } from './schema.ts'

/** The name under which others see what an organization publishes. */
export const getPublisher = (context: Context): Promise<Publisher> =>
  inOrganization(context, (tx, organizationId) => requirePublisher(tx, organizationId))

const requirePublisher = async (tx: Transaction, organizationId: string) => {
  const publisher = await repository.findPublisher(tx, organizationId)
  if (!publisher)
    throw new Problem('not-found', 'publisher-not-found', 'The organization has no handle yet.')
  return publisher
}

/**
 * Takes a handle, and names the domain that proves who is behind it. Whether it is proven is the database's to say.
 * @throws Problem 409 for a handle that is another's, looks like a known one, or stands on what is listed; 412; 422
 */
export const putPublisher = (
  context: Context,
  { handle, domain: wanted }: PutPublisher,
): Promise<Publisher> =>
  changeOrganization(context, async (tx, organizationId) => {
    const before = await repository.findPublisher(tx, organizationId)
    refuseStale(context, before?.version)
    const domain = wanted === undefined ? (before?.domain ?? null) : wanted
    if (before?.handle === handle && before.domain === domain) return before
    if (before?.handle !== handle) await refuseHandle(tx, organizationId, { before, handle })
    return write(tx, context, { before, handle, domain })
  })

const write = async (
  tx: Transaction,
  context: Context,
  { before, ...next }: { before: Publisher | undefined; handle: string; domain: string | null },
) => {
  const { organizationId } = context
  const publisher = { organizationId, ...next }
  const after = before
    ? await repository.updatePublisher(tx, publisher)
    : await repository.insertPublisher(tx, publisher)
  await recordChange(tx, context, {
    event: before ? 'publisher.updated' : 'publisher.created',
    resource: `publisher:${organizationId}`,
    ...(before ? { before } : {}),
    after,
  })
  return after
}

const refuseHandle = async (
  tx: Transaction,
  organizationId: string,
  { before, handle }: { before: Publisher | undefined; handle: string },
) => {
  const refusal = (code: string, detail: string) =>
    new Problem('conflict', code, detail, { errors: [{ pointer: '/handle', detail }] })
  if (before && (await repository.hasListed(tx, organizationId)))
    throw refusal('handle-fixed', 'People know what is listed by this handle; it stays.')
  if (before?.status === 'banned')
    throw refusal('handle-fixed', 'The publisher was banned; its handle stays.')
  const known = await repository.findKnownHandles(tx, organizationId)
  const other = findLookAlike(handle, known)
  if (other !== undefined && other !== handle)
    throw refusal('handle-look-alike', `can be taken for ${other}, who is known by that handle`)
}

/**
 * Proves a publisher by a domain that its organization has claimed: names it, looks for the claim's record in the DNS, and
 * answers when it was found; null and the record to be made while it is not there.
 * @throws Problem 404 without a publisher, 422 for a domain that is not claimed, 503 where the DNS cannot be asked
 */
export const verifyPublisher = async (
  context: Context,
  resolveTxt: ResolveTxt,
  { domain }: VerifyPublisher,
): Promise<Verification> => {
  const before = await inOrganization(context, async (tx, organizationId) => {
    const found = await requirePublisher(tx, organizationId)
    refuseStale(context, found.version)
    return found
  })
  const claim = await getDomain(context, { domain }).catch(notClaimed)
  if (before.domain !== domain) await putPublisher(context, { handle: before.handle, domain })
  if (claim.state !== 'verified') await look(context, resolveTxt, domain)
  const { verifiedAt, version } = await getPublisher(context)
  return { txtRecord: claim.record, verifiedAt, version }
}

const notClaimed = (error: unknown): never => {
  if (!(error instanceof Problem)) throw error
  throw unprocessable(
    'domain-not-claimed',
    '/domain',
    'The organization must claim the domain first (POST …/domains).',
  )
}

/** Looks for the record; that it is not there yet is an answer. */
const look = async (context: Context, resolveTxt: ResolveTxt, domain: string) => {
  // What the caller read and repeats is the publisher, not the claim.
  const inner: Context = { ...context, ifMatch: undefined, idempotency: undefined }
  try {
    await verifyDomain(inner, resolveTxt, { domain })
    context.revision = inner.revision
  } catch (error) {
    if (!(error instanceof Problem && error.code === 'domain-unproven')) throw error
  }
}
