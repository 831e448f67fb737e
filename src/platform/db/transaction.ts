import type { Context } from '../context.ts'
import { equalInConstantTime } from '../crypto/hash.ts'
import type { QueueName } from '../jobs/queue.ts'
import { queuesOf } from '../jobs/wake.ts'
import { Problem } from '../problem.ts'
import type { Sql, Transaction } from './connect.ts'
import { beforeDeadline } from './deadline.ts'
import { findRevisions, type Revisions } from './revisions.ts'

/** Work inside one organization; its id is given so that no query can forget to name it. */
export type OrganizationWork<Result> = (tx: Transaction, organizationId: string) => Promise<Result>

/** Serialization failures and deadlocks: what PostgreSQL asks us to try again. */
const RETRIED = new Set(['40001', '40P01'])
const ATTEMPTS_MAX = 4

/** The code of an error by which a change asks to be tried again, because it must read something before it changes anything. */
export const READ_FIRST = 'READ_FIRST'
const READS_MAX = 20

const sqlState = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''

const retrying = async <Result>(
  attempt: () => Promise<Result>,
  beforeRetry: () => Promise<unknown> = async () => {},
): Promise<Result> => {
  for (let attempts = 1, reads = 0; ; ) {
    try {
      return await attempt()
    } catch (error) {
      const state = sqlState(error)
      if (state === READ_FIRST && reads++ < READS_MAX) continue
      if (attempts++ >= ATTEMPTS_MAX || !RETRIED.has(state)) throw error
      await new Promise((resolve) => setTimeout(resolve, 5 * attempts * (1 + Math.random())))
      await beforeRetry()
    }
  }
}

/**
 * Says who a transaction is and goes on without waiting for the answer: what follows stands behind it on the same
 * connection, and is refused by the database if it fails. Saves a round trip on every request.
 */
const entered = async <Result>(
  settings: PendingQuery,
  work: () => Promise<Result>,
): Promise<Result> => {
  // Sent before anything of the work: a query is sent when it is asked for, and this one is asked for first.
  const sent = settings.execute()
  const [, result] = await Promise.all([sent, work()])
  return result
}

type PendingQuery = ReturnType<Transaction>

/** Inside one organization: row-level security stands behind every query. */
const asApp = (tx: Transaction, organizationId: string, actor = '') =>
  tx`select set_config('role', 'latchkey_app', true), set_config('latchkey.organization', ${organizationId}, true),
    set_config('latchkey.actor', ${actor}, true)` as PendingQuery

const asPlatform = (tx: Transaction) =>
  tx`select set_config('role', 'latchkey_platform', true)` as PendingQuery

/**
 * Reads of the caller's organization, in one transaction: what a query forgets, row-level security refuses.
 */
export const inOrganization = <Result>(
  { sql, organizationId }: Pick<Context, 'sql' | 'organizationId'>,
  work: OrganizationWork<Result>,
): Promise<Result> =>
  beforeDeadline(
    sql.begin((tx) =>
      entered(asApp(tx, organizationId), () => work(tx, organizationId)),
    ) as Promise<Result>,
  )

/** Many reads of the caller's organization, all as of one instant. */
export const inOrganizationSnapshot = <Result>(
  { sql, organizationId }: Pick<Context, 'sql' | 'organizationId'>,
  work: OrganizationWork<Result>,
): Promise<Result> =>
  sql.begin('isolation level repeatable read read only', (tx) =>
    entered(asApp(tx as Transaction, organizationId), () =>
      work(tx as Transaction, organizationId),
    ),
  ) as Promise<Result>

/** Reads of the platform's own data, or of many organizations: operators, the policy loader, what precedes an organization. */
export const inPlatform = <Result>(
  sql: Sql,
  work: (tx: Transaction) => Promise<Result>,
): Promise<Result> =>
  beforeDeadline(sql.begin((tx) => entered(asPlatform(tx), () => work(tx))) as Promise<Result>)

/** Many reads of the platform's, all as of one instant. Its deadline is the caller's to keep. */
export const inPlatformSnapshot = <Result>(
  sql: Sql,
  work: (tx: Transaction) => Promise<Result>,
): Promise<Result> =>
  sql.begin('isolation level repeatable read read only', (tx) =>
    entered(asPlatform(tx as Transaction), () => work(tx as Transaction)),
  ) as Promise<Result>

/**
 * What a job writes down inside an organization about its own work: without the organization's row, so that no editor waits
 * for it. What decides, and what people edit, is written by `changeOrganization`.
 */
export const noteInOrganization = async <Result>(
  { sql, organizationId, outgoing }: Pick<Context, 'sql' | 'organizationId' | 'outgoing'>,
  work: OrganizationWork<Result>,
): Promise<Result> => {
  const { result, queues } = await retrying(
    () =>
      sql.begin(async (tx) => {
        await tx`select set_config('role', 'latchkey_app', true),
          set_config('latchkey.organization', ${organizationId}, true)`
        return { result: await work(tx, organizationId), queues: queuesOf(tx) }
      }) as Promise<{ result: Result; queues: QueueName[] }>,
  )
  outgoing.wake(queues)
  return result
}

/** The requests whose change is being made: they hold a connection, on embedded storage the only one. */
const changing = new WeakSet<object>()

const whileChanging = async <Result>(
  context: Context,
  work: () => Promise<Result>,
): Promise<Result> => {
  changing.add(context)
  try {
    return await work()
  } finally {
    changing.delete(context)
  }
}

/**
 * Asked by what may read over another connection. Inside a change that would wait for itself wherever there is one connection
 * only, and only when what is known must be brought up to date: so it fails always.
 * @throws Error when a change of this request is being made
 */
export const refuseInsideChange = (context: object) => {
  if (changing.has(context)) throw new Error('this must be asked before the change begins')
}

export type ChangeOptions = {
  /** The states of an organization in which this change is allowed. Default: active only. */
  allowedWhile?: readonly string[]
  /** It only takes away, so that owners may do it while the organization is read only: removing, revoking, deleting. */
  shrinks?: boolean
  /** What an answer keeps when it is stored for a repeated request: secrets are left out. */
  remember?: (answer: never) => unknown
}

/**
 * One change of the caller's organization. Takes the organization's row first (without that, racing writers deadlock),
 * retries what PostgreSQL asks to retry, honors `Idempotency-Key`, and tells the engine after the commit.
 * @throws Problem 409 when the organization's state forbids changes
 */
export const changeOrganization = async <Result>(
  context: Context,
  work: OrganizationWork<Result>,
  options: ChangeOptions = {},
): Promise<Result> => {
  const { sql, organizationId, actor, access, outgoing } = context
  const { result, queues } = await retrying(
    () =>
      sql.begin(async (tx) => {
        const status = await entered(asApp(tx, organizationId, actor.subject), () =>
          lock(tx, organizationId),
        )
        if (status !== 'read_only' || !options.shrinks || !(await mayShrink(context, tx)))
          refuseState(status, options.allowedWhile ?? ['active'])
        const result = await whileChanging(context, () =>
          answeringOnce(context, tx, () => work(tx, organizationId), options),
        )
        return { result, queues: queuesOf(tx) }
      }) as Promise<{ result: Result; queues: QueueName[] }>,
    // Brings the policy up to date: an attempt may have failed because the platform changed elsewhere.
    () => access.knows(context, organizationId),
  )
  access.changed(organizationId, context.revision)
  outgoing.wake(queues)
  return result
}

/**
 * Counts inside the caller's organization what no decision depends on: without the organization's row, so that no editor
 * waits, and without telling the engine, which would look for a change. Retries, and honors `Idempotency-Key`.
 * @throws Problem 409 when the organization's state forbids it
 */
export const countInOrganization = <Result>(
  context: Context,
  work: OrganizationWork<Result>,
  { allowedWhile = ['active'], ...options }: ChangeOptions = {},
): Promise<Result> =>
  retrying(() =>
    beforeDeadline(
      context.sql.begin(async (tx) => {
        const { organizationId } = context
        await tx`select set_config('role', 'latchkey_app', true),
          set_config('latchkey.organization', ${organizationId}, true)`
        const [row] = await tx<
          { status: string }[]
        >`select status from organizations where id = ${organizationId}`
        refuseState(row?.status, allowedWhile)
        return whileChanging(context, () =>
          answeringOnce(context, tx, () => work(tx, organizationId), options),
        )
      }) as Promise<Result>,
    ),
  )

/**
 * One change of the platform: catalog, built-in roles, operators' keys, the birth of an organization.
 * The platform's row is taken first.
 */
export const changePlatform = async <Result>(
  context: Context,
  work: (tx: Transaction) => Promise<Result>,
  options: ChangeOptions = {},
): Promise<Result> => {
  const { sql, actor, access, outgoing } = context
  const { result, queues } = await retrying(
    () =>
      sql.begin(async (tx) => {
        // The platform's row can be locked by its owner only; an advisory lock of the transaction is the same mutex.
        await tx`select set_config('role', 'latchkey_platform', true),
          set_config('latchkey.actor', ${actor.subject}, true), pg_advisory_xact_lock(7265726002)`
        const result = await whileChanging(context, () =>
          answeringOnce(context, tx, () => work(tx), options),
        )
        return { result, queues: queuesOf(tx) }
      }) as Promise<{ result: Result; queues: QueueName[] }>,
  )
  access.changed('platform', context.revision)
  outgoing.wake(queues)
  return result
}

const locked = new WeakMap<Transaction, Revisions>()

/**
 * Where the organization stood when this transaction took its row: before any change of its own. Undefined in a transaction
 * that has not taken it.
 */
export const revisionsOf = (tx: Transaction): Revisions | undefined => locked.get(tx)

/**
 * Takes the organization's row and answers its status. The revisions are asked right behind, in the same flight: once the
 * row is held, nothing newer of the organization can be committed.
 */
const lock = async (tx: Transaction, organizationId: string): Promise<string | undefined> => {
  const [[row], revisions] = await Promise.all([
    // A query is sent when it is waited for, so this one says that it goes first.
    lockStatus(tx, organizationId).execute(),
    findRevisions(tx, organizationId),
  ])
  locked.set(tx, revisions)
  return row?.status
}

/** The status of an organization, whose row is this transaction's from now on. */
const lockStatus = (tx: Transaction, organizationId: string) =>
  tx<{ status: string }[]>`
    select status from organizations where id = ${organizationId} for no key update`

/** Owners, and operators who could make one. */
const mayShrink = async (context: Context, tx: Transaction) =>
  (await context.access.ceiling(context, tx)).mayGiveOwnership

/**
 * Asked inside a change whose other half is allowed in more states.
 * @throws Problem 409 when the organization's state forbids changes
 */
export const refuseUnlessActive = async (tx: Transaction, organizationId: string) => {
  const [row] = await tx<{ status: string }[]>`
    select status from organizations where id = ${organizationId}`
  refuseState(row?.status, ['active'])
}

const refuseState = (status: string | undefined, allowed: readonly string[]) => {
  if (status !== undefined && allowed.includes(status)) return
  if (status === undefined)
    throw new Problem('not-found', 'organization-not-found', 'There is no such organization.')
  if (status === 'read_only')
    throw new Problem(
      'conflict',
      'organization-read-only',
      'The organization is read only; its owners may remove and revoke, and nothing else in it can be changed.',
    )
  throw new Problem(
    'conflict',
    'organization-suspended',
    `The organization is ${status === 'suspended' ? 'suspended' : 'about to be deleted'}; nothing in it can be changed.`,
  )
}

type Remembered = { requestHash: Uint8Array; answer: unknown; revision: string | null }

/**
 * Runs the work once per `Idempotency-Key` of an actor. The key's row is written first and in the same transaction, so
 * that a second request waits for the first and then answers what the first answered.
 */
const answeringOnce = async <Result>(
  context: Context,
  tx: Transaction,
  work: () => Promise<Result>,
  { remember }: ChangeOptions,
): Promise<Result> => {
  const { idempotency, actor, organizationId } = context
  if (!idempotency) return work()
  const { key, requestHash } = idempotency
  const claim = {
    actor: actor.subject,
    key,
    organizationId: organizationId || null,
    requestHash,
  }
  const [claimed] =
    await tx`insert into idempotency_keys ${tx(claim)} on conflict do nothing returning 1 as claimed`
  if (!claimed) {
    const [found] = await tx<Remembered[]>`
      select request_hash, answer, revision from idempotency_keys where actor = ${actor.subject} and key = ${key}`
    if (!found || !equalInConstantTime(found.requestHash, requestHash))
      throw new Problem(
        'unprocessable',
        'idempotency-key-reused',
        'This Idempotency-Key was used with another request.',
      )
    context.revision = found.revision ?? undefined
    return found.answer as Result
  }
  const result = await work()
  const answer = remember ? remember(result as never) : result
  await tx`update idempotency_keys set answer = ${tx.json((answer ?? null) as never)}, revision = ${context.revision ?? null}
    where actor = ${actor.subject} and key = ${key}`
  return result
}
