import { recordChange } from '../audit/service.ts'
import type { Context } from '../platform/context.ts'
import type { Transaction } from '../platform/db/connect.ts'
import { changePlatform } from '../platform/db/transaction.ts'
import { noteQueue } from '../platform/jobs/wake.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { tenantOf } from './mount.ts'
import type { JobFilter } from './repository.ts'
import * as repository from './repository.ts'
import type { Action, Bulk, Redrive } from './schema.ts'

/** Jobs one call changes at most: more in one transaction would hold up the workers. */
export const BULK_MAX = 10_000

type Bulky = {
  /** States a job may be in. */
  from: readonly string[]
  /** Whether jobs that have ended are meant as well. */
  ofEnded?: boolean
  event: string
  move: (tx: Transaction, ids: readonly string[]) => Promise<readonly unknown[]>
}

const ACTIONS: Record<Action, Bulky> = {
  cancel: {
    from: ['scheduled', 'ready', 'running', 'parked'],
    event: 'jobs.canceled',
    move: (tx, ids) => repository.cancelJobs(tx, ids, 'canceled by hand'),
  },
  retry: { from: ['dead', 'parked'], event: 'jobs.redriven', move: repository.redriveJobs },
  promote: { from: ['scheduled'], event: 'jobs.promoted', move: repository.promoteJobs },
  delete: {
    from: ['scheduled', 'ready', 'dead', 'parked'],
    ofEnded: true,
    event: 'jobs.deleted',
    move: repository.deleteJobs,
  },
}

const findMatches = async (tx: Transaction, filter: JobFilter, { from, ofEnded }: Bulky) => {
  const { state, ...rest } = filter
  const states = state === undefined ? from : from.filter((each) => each === state)
  const found =
    states.length === 0
      ? []
      : [...(await repository.findMatches(tx, { ...rest, states, limit: BULK_MAX }))]
  if (!ofEnded || found.length === BULK_MAX) return found
  const limit = BULK_MAX - found.length
  return [...found, ...(await repository.findEndedMatches(tx, { ...filter, limit }))]
}

const refuseState = (action: Action, state: string | undefined) => {
  const { from, ofEnded } = ACTIONS[action]
  const ended = state === 'done' || state === 'canceled'
  if (state === undefined || from.includes(state) || (ofEnded && ended)) return
  throw unprocessable('state-unsuitable', '/filter/state', `is none in which one can ${action}`)
}

const moveAll = async (
  context: Context,
  tx: Transaction,
  {
    kind,
    filter,
    resource,
    dryRun,
  }: { kind: Bulky; filter: JobFilter; resource: string; dryRun: boolean },
) => {
  const matches = await findMatches(tx, filter, kind)
  const ids = matches.map(({ id }) => id)
  const moved = dryRun || ids.length === 0 ? [] : await kind.move(tx, ids)
  const counts = { matched: ids.length, changed: moved.length }
  if (moved.length === 0) return counts
  for (const { queue } of matches) noteQueue(tx, queue)
  await recordChange(tx, context, { event: kind.event, resource, after: { filter, ...counts } })
  return counts
}

const refuseWithout = async (context: Context, action: Action) => {
  const permission = action === 'delete' ? 'job:delete' : 'job:update'
  if (await context.access.permits(context, permission, { organizationId: null })) return
  throw new Problem('forbidden', 'forbidden', `This needs the permission ${permission}.`, {
    permission,
  })
}

/** One action on every job a filter finds, ten thousand at most; called again it goes on with the rest. */
export const changeJobs = async (context: Context, { action, filter: asked, dryRun }: Bulk) => {
  await refuseWithout(context, action)
  refuseState(action, asked.state)
  return changePlatform(context, async (tx) => {
    const { organization, ...filter } = asked
    const tenant = await tenantOf(tx, context, { organization, pointer: '/filter/organization' })
    const resource = `jobs:${asked.queue ?? 'all'}`
    return moveAll(context, tx, {
      kind: ACTIONS[action],
      filter: { ...filter, tenant },
      resource,
      dryRun,
    })
  })
}

/** Tries a queue's dead jobs again. */
export const redriveQueue = (context: Context, { queue, filter: asked }: Redrive) =>
  changePlatform(context, async (tx) => {
    const { organization, name } = asked
    const tenant = await tenantOf(tx, context, { organization, pointer: '/filter/organization' })
    const filter = { queue, name, tenant, state: 'dead' as const }
    return moveAll(context, tx, {
      kind: ACTIONS.retry,
      filter,
      resource: `jobs:${queue}`,
      dryRun: false,
    })
  })
