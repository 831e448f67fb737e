import type { Sql, Transaction } from '../platform/db/connect.ts'
import { type Candidate, candidateText, createStatement, quoteIdentifier } from './candidate.ts'
import { PlanError, type Planner, type Situation } from './planner.ts'
import { asPlanError, costedOf, planIn } from './session.ts'
import { boundSession, findIndexBytes, listBuilt, runOne } from './session-repository.ts'
import { findTable, type Target } from './target.ts'

const TABLE_BYTES_MAX = 50_000_000
const STATEMENT_MS = 30_000
/** While an index is built nobody writes to its table, and whoever waits for it makes others wait. */
const LOCK_MS = 2000

export type BuiltOptions = {
  /** Whoever runs the database agrees that tables are locked while their indexes are tried. */
  consent: boolean
}

/** Ends a transaction that shall leave nothing, and carries out what was seen in it. */
class RolledBack<Seen> extends Error {
  readonly seen: Seen
  constructor(seen: Seen) {
    super('rolled back, as always')
    this.seen = seen
  }
}

const nameOf = (at: number) => `candidate ${at}`

/**
 * A planner that builds what it is asked of, in transactions that are rolled back: exact, and only for small tables, since
 * nobody writes to them meanwhile. Looking away from an index is dropping it there, so only an embedded database does that.
 * @throws PlanError without consent
 */
export const openBuiltPlanner = (sql: Sql, target: Target, { consent }: BuiltOptions): Planner => {
  if (!consent) throw new PlanError('Indexes are built to be tried only with consent.')

  const refuseLarge = (candidates: readonly Candidate[]) => {
    for (const { table } of candidates) {
      const bytes = findTable(target, table)?.bytes
      if (bytes === undefined) throw new PlanError(`There is no table ${table.name}.`)
      if (bytes > TABLE_BYTES_MAX)
        throw new PlanError(`${table.name} is too large to build indexes on it to try them.`)
    }
  }

  const rolledBack = async <Seen>(work: (tx: Transaction) => Promise<Seen>): Promise<Seen> => {
    try {
      return await (sql.begin(async (tx) => {
        await boundSession(tx, { statementMs: STATEMENT_MS, lockMs: LOCK_MS })
        throw new RolledBack(await work(tx))
      }) as Promise<never>)
    } catch (error) {
      if (error instanceof RolledBack) return error.seen as Seen
      throw asPlanError(error)
    }
  }

  /** Answers whose index it is, by its name and those of its partitions. */
  const build = async (tx: Transaction, candidates: readonly Candidate[]) => {
    const texts = new Map<string, string>()
    for (const [at, candidate] of candidates.entries()) {
      await runOne(tx, createStatement(candidate, { name: nameOf(at) }))
      texts.set(nameOf(at), candidateText(candidate))
    }
    const built = await listBuilt(tx, [...texts.keys()])
    return new Map(built.map(({ root, schema, name }) => [`${schema}.${name}`, texts.get(root)]))
  }

  const drop = async (tx: Transaction, without: readonly string[]) => {
    if (without.length > 0 && !target.isEmbedded)
      throw new PlanError('On a server no index is dropped to see what a query costs without it.')
    const indexes = target.tables.flatMap(({ indexes }) => indexes)
    for (const index of indexes.filter(({ table, name }) =>
      without.includes(`${table.schema}.${name}`),
    ))
      await runOne(
        tx,
        `drop index ${quoteIdentifier(index.table.schema)}.${quoteIdentifier(index.name)}`,
      )
  }

  return {
    how: 'built',
    plan: async (query, { with: candidates, without = [] }: Situation) => {
      refuseLarge(candidates)
      return rolledBack(async (tx) => {
        await drop(tx, without)
        const texts = await build(tx, candidates)
        const plan = await planIn(tx, query)
        return costedOf(plan, (schema, index) => texts.get(`${schema}.${index}`))
      })
    },
    bytesOf: async (candidate) => {
      refuseLarge([candidate])
      return rolledBack(async (tx) => {
        await runOne(tx, createStatement(candidate, { name: nameOf(0) }))
        return findIndexBytes(tx, candidate.table.schema, nameOf(0))
      })
    },
    close: async () => {},
  }
}
