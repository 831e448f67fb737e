import type { Sql } from '../platform/db/connect.ts'
import { type Candidate, candidateText, createStatement, quoteIdentifier } from './candidate.ts'
import { indexSize } from './index-size.ts'
import { type Costed, PlanError, type Planner, type Situation } from './planner.ts'
import { asPlanError, costedOf, planIn } from './session.ts'
import { boundSession, findHypopg, runOne } from './session-repository.ts'
import { PAGE_BYTES } from './size.ts'
import { findTable, type Target } from './target.ts'

/** Indexes that one session thinks up at once: HypoPG has about 2,500 numbers for all. */
const INDEXES_MAX = 499
const STATEMENT_MS = 5000
const LOCK_MS = 1000

/**
 * Whether HypoPG may be asked of it: of B-trees of whole columns and all rows only, because of others it has brought servers
 * down (HypoPG/hypopg#116).
 */
export const canTry = ({ method, keys, where }: Candidate): boolean =>
  method === 'btree' && where === null && keys.every((key) => 'column' in key)

const refuseUntriable = ({ with: candidates, without = [] }: Situation, canHide: boolean) => {
  const untriable = candidates.find((candidate) => !canTry(candidate))
  if (untriable)
    throw new PlanError(`HypoPG is not asked of the index ${candidateText(untriable)}.`)
  if (candidates.length > INDEXES_MAX)
    throw new PlanError(`HypoPG is not asked of more than ${INDEXES_MAX} indexes at once.`)
  if (without.length > 0 && !canHide)
    throw new PlanError('This HypoPG cannot look away from an index; 1.4 can.')
}

/**
 * A planner in the target itself, where the extension HypoPG is installed: one session, transactions that read only and are
 * rolled back, indexes that exist in that session only and are forgotten after each question. The query must have passed
 * the gate of statements, since planning may run functions.
 * @throws PlanError where HypoPG is not installed
 */
export const openHypopgPlanner = async (sql: Sql, target: Target): Promise<Planner> => {
  const found = await findHypopg(sql)
  if (!found) throw new PlanError('HypoPG is not installed in this database.')
  const { schema, canHide } = found
  const session = await sql.reserve()
  const call = (name: string) => `${quoteIdentifier(schema)}.${name}`

  const think = async ({ with: candidates, without = [] }: Situation) => {
    const texts = new Map<string, string>()
    for (const candidate of candidates) {
      const [row] = await session.unsafe<{ indexname: string }[]>(
        `select indexname from ${call('hypopg_create_index')}($1::text)`,
        [createStatement(candidate, { name: 'thought' })],
      )
      texts.set(row!.indexname, candidateText(candidate))
    }
    for (const name of without)
      await session.unsafe(
        `select ${call('hypopg_hide_index')}(i.indexrelid) from pg_index i join pg_class c on c.oid = i.indexrelid
          join pg_namespace n on n.oid = c.relnamespace where n.nspname || '.' || c.relname = $1`,
        [name],
      )
    return texts
  }

  const forget = async () => {
    await runOne(session, `select ${call('hypopg_reset')}()`)
    if (canHide) await runOne(session, `select ${call('hypopg_unhide_all_indexes')}()`)
  }

  const ask = async (query: Parameters<Planner['plan']>[0], situation: Situation) => {
    await runOne(session, 'begin read only')
    try {
      await boundSession(session, { statementMs: STATEMENT_MS, lockMs: LOCK_MS })
      const texts = await think(situation)
      const plan = await planIn(session, query)
      return costedOf(plan, (_, index) => texts.get(index))
    } catch (error) {
      throw asPlanError(error)
    } finally {
      await runOne(session, 'rollback')
      // Neither a rollback nor an error makes it forget.
      await forget()
    }
  }

  /** What it thinks up is of the whole session: one question at a time. */
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = (work: () => Promise<Costed>): Promise<Costed> => {
    const turn = last.then(work, work)
    last = turn.catch(() => {})
    return turn
  }

  return {
    how: 'hypopg',
    plan: async (query, situation) => {
      refuseUntriable(situation, canHide)
      return inTurn(() => ask(query, situation))
    },
    bytesOf: async (candidate) => {
      const table = findTable(target, candidate.table)
      if (!table || !canTry(candidate))
        throw new PlanError(`The size of ${candidateText(candidate)} is not known here.`)
      const { pages } = indexSize(candidate, table, { rows: table.rows ?? 0, expressionBytes: [] })
      return pages * PAGE_BYTES
    },
    close: async () => {
      await last
      session.release()
    },
  }
}
