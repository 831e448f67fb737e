import { compare, type Difference, type Seen, seeOrganization } from '../decisions/compare.ts'
import type { Policies } from '../decisions/service.ts'
import { type Context, unbounded } from '../platform/context.ts'
import type { Sql, Transaction } from '../platform/db/connect.ts'
import { changeOrganization } from '../platform/db/transaction.ts'
import { problemOfViolation, type Violations } from '../platform/db/violation.ts'
import { Problem } from '../platform/problem.ts'
import { makeChange, PERMISSION } from './change.ts'
import type { Change, PreviewAnswer, PreviewRequest } from './schema.ts'

/** Differences that are listed; counts go on. */
const LISTED_MAX = 5000

/** Carries the answer past the rollback. */
class Undone extends Error {
  readonly answer: PreviewAnswer
  constructor(answer: PreviewAnswer) {
    super('undone')
    this.answer = answer
  }
}

/** What a preview needs of the server: its policies, and what it answers where the database refuses. */
export type PreviewSettings = { policies: Policies; violations: Violations }

type Attempt = { problem: Problem | undefined; after: Seen | undefined }

/**
 * Makes a change, looks who gains and who loses what, and takes everything back: nothing is stored, told or sent. Where the
 * caller may not make it, or the database refuses it, the answer says why, and still what it would have done.
 */
export const previewChange = async (
  { policies, violations }: PreviewSettings,
  context: Context,
  { change }: PreviewRequest,
): Promise<PreviewAnswer> => {
  const missing = await missingPermission(context, change)
  const platform = await policies.currentPlatform(context.sql)
  const { engine } = policies
  try {
    await changeOrganization({ ...context, idempotency: undefined }, async (tx, id) => {
      const bound = { platform, rowsMax: policies.wholeRowsMax }
      const before = await seeOrganization(engine, tx, id, bound)
      const see = (inner: Transaction) => seeOrganization(engine, inner, id, bound)
      const shared = { change, see, violations }
      const first = await attempt(context, tx, { ...shared, isBounded: true })
      const { after } = first.after
        ? first
        : await attempt(context, tx, { ...shared, isBounded: false })
      const compared = after && compare(engine, before, after, context.now().getTime())
      throw new Undone(answerOf(before, missing ?? first.problem, compared))
    })
  } catch (error) {
    if (error instanceof Undone) return error.answer
    throw error
  }
  throw new Error('a preview is always undone')
}

/** What the endpoint of the change would ask of the caller first. */
const missingPermission = async (context: Context, change: Change) => {
  const permission = PERMISSION[change.kind]
  const { organizationId } = context
  if (await context.access.permits(context, permission, { organizationId })) return undefined
  const detail = `This needs the permission ${permission}.`
  return new Problem('forbidden', 'forbidden', detail, { permission })
}

type Attempted = {
  change: Change
  see: (tx: Transaction) => Promise<Seen>
  violations: Violations
  /** Within the caller's ceiling, and with every rule of the database kept; else only to see what it would do. */
  isBounded: boolean
}

/** Makes the change behind a savepoint, looks, and goes back to it. */
const attempt = async (
  context: Context,
  tx: Transaction,
  { change, see, violations, isBounded }: Attempted,
): Promise<Attempt> => {
  let after: Seen | undefined
  const done = new Error('seen')
  try {
    await tx.savepoint(async (inner) => {
      const nested = inner as Transaction
      const within: Context = {
        ...context,
        sql: nestedSql(nested),
        idempotency: undefined,
        ifMatch: undefined,
        // Nothing is committed, so nobody is told.
        access: {
          ...(isBounded ? context.access : unbounded(context.access)),
          changed: () => {},
        },
      }
      await makeChange(within, change)
      if (isBounded) await nested`set constraints all immediate`
      after = await see(nested)
      throw done
    })
  } catch (error) {
    if (error === done) return { problem: undefined, after }
    const problem = error instanceof Problem ? error : problemOfViolation(error, violations)
    if (!problem || problem.kind === 'unavailable') throw error
    return { problem, after: undefined }
  }
  throw new Error('a savepoint is always left')
}

/** The transaction as a pool: the services' own transactions become parts of it. */
const nestedSql = (tx: Transaction): Sql =>
  Object.assign(
    ((...parameters: Parameters<Transaction>) => tx(...parameters)) as unknown as Sql,
    tx,
    { begin: (work: (inner: Transaction) => Promise<unknown>) => work(tx) },
  )

const answerOf = (
  before: Seen,
  problem: Problem | undefined,
  compared: { differences: Difference[]; complete: boolean } | undefined,
): PreviewAnswer => {
  const differences = compared?.differences ?? []
  const gains = differences.filter(({ before: was, after: is }) => rank(is) > rank(was))
  const loses = differences.filter(({ before: was, after: is }) => rank(is) < rank(was))
  return {
    possible: problem === undefined,
    problem: problem
      ? {
          code: problem.code,
          detail: problem.detail,
          permission: problem.extras.permission ?? null,
        }
      : null,
    ceilingKept: problem?.code !== 'above-ceiling' && problem?.code !== 'owner-required',
    ownerKept: problem?.code !== 'last-owner',
    limitsKept: problem?.code !== 'limit-reached',
    gains: gains.slice(0, LISTED_MAX).map((each) => shown(before, each)),
    loses: loses.slice(0, LISTED_MAX).map((each) => shown(before, each)),
    subjectsGaining: new Set(gains.map(({ subject }) => subject)).size,
    subjectsLosing: new Set(loses.map(({ subject }) => subject)).size,
    complete: compared?.complete === true && differences.length <= LISTED_MAX,
  }
}

const rank = (standing: Difference['before']) => ({ denied: 0, condition: 1, allowed: 2 })[standing]

const shown = ({ state }: Seen, { subject, permission, ...at }: Difference) => ({
  subject,
  permission,
  workspace: at.workspaceId && (state.workspaces.get(at.workspaceId)?.slug ?? at.workspaceId),
  resource: at.resource && `${at.resource.type}:${at.resource.id}`,
  underCondition: at.before === 'condition' || at.after === 'condition',
})
