import type { Sql, Transaction } from '../platform/db/connect.ts'
import { inPlatformSnapshot } from '../platform/db/transaction.ts'
import { boundTransaction, runOne } from './verify-repository.ts'

/** A query as the planner would answer it now. */
export type Planned = { cost: number; indexes: string[] }

type Node = { 'Total Cost': number; 'Index Name'?: string; Plans?: Node[] }

const indexesIn = ({ 'Index Name': index, Plans = [] }: Node): string[] => [
  ...(index === undefined ? [] : [index]),
  ...Plans.flatMap(indexesIn),
]

/** Ends a transaction that shall leave nothing, and carries out what was seen in it. */
class RolledBack extends Error {
  readonly planned: Planned
  constructor(planned: Planned) {
    super('rolled back, as always')
    this.planned = planned
  }
}

const explainIn = async (tx: Transaction, text: string): Promise<Planned> => {
  const name = `verify_${crypto.randomUUID().replaceAll('-', '')}`
  await runOne(tx, `prepare ${name} as ${text}`)
  try {
    const [{ count } = { count: 0 }] = await tx<{ count: number }[]>`
      select cardinality(parameter_types) as count from pg_prepared_statements where name = ${name}`
    const values = count > 0 ? `(${Array<string>(count).fill('null').join(', ')})` : ''
    const [row] = await tx.savepoint((point) =>
      runOne(point as Transaction, `explain (format json) execute ${name}${values}`),
    )
    const [{ Plan: plan }] = Object.values(row ?? {})[0] as [{ Plan: Node }]
    return { cost: plan['Total Cost'], indexes: indexesIn(plan) }
  } finally {
    await runOne(tx, `deallocate ${name}`)
  }
}

/**
 * How a query that was admitted before would be planned now, for any parameters; it is not run. Undefined where it cannot be:
 * a table of it may have gone.
 */
export const planNow = async (sql: Sql, text: string): Promise<Planned | undefined> => {
  try {
    await inPlatformSnapshot(sql, async (tx) => {
      await boundTransaction(tx)
      throw new RolledBack(await explainIn(tx, text))
    })
  } catch (error) {
    if (error instanceof RolledBack) return error.planned
    if (error instanceof Error && error.name === 'PostgresError') return undefined
    throw error
  }
  return undefined
}
