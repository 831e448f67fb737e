import type { Sql, Transaction } from '../platform/db/connect.ts'
import { beforeDeadline } from '../platform/db/deadline.ts'
import { inPlatformSnapshot } from '../platform/db/transaction.ts'
import { type Explained, type Placed, placedNodes, tablesOf } from './plan.ts'
import * as repository from './repository.ts'

/** Milliseconds that planning and, where it is asked for, running may take together. */
const STATEMENT_MS = 5000
/** Milliseconds to wait for whoever changes a table. */
const LOCK_MS = 1000
const IDLE_MS = 10_000
/** Milliseconds after which a database that keeps none of these bounds is given up. */
const DEADLINE_MS = 15_000

export type Parameter = string | number | boolean | null
export type ExplainInput = {
  text: string
  /** Undefined where the plan is to hold for any. */
  parameters: readonly Parameter[] | undefined
  parametersMax: number
  analyze: boolean
}

/** What the catalog says of the tables of a plan. */
export type Facts = {
  tables: repository.TableFacts[]
  indexes: repository.IndexFacts[]
  foreignKeys: repository.ForeignKeyFacts[]
}
export type Outcome = { explained: Explained; placed: Placed[]; facts: Facts }

/** Ends a transaction that shall leave nothing, and carries out what was seen in it. */
class RolledBack extends Error {
  readonly outcome: Outcome
  constructor(outcome: Outcome) {
    super('rolled back, as always')
    this.outcome = outcome
  }
}

const literalOf = (value: Parameter) =>
  value === null ? 'null' : `'${String(value).replaceAll("'", "''")}'`

const valuesOf = ({ parameters, parametersMax }: ExplainInput) => {
  const values = parameters?.map(literalOf) ?? Array<string>(parametersMax).fill('null')
  return values.length === 0 ? '' : `(${values.join(', ')})`
}

/**
 * Explained through a prepared statement: it takes a query and nothing else, infers the types of parameters, and can be
 * planned for any of them. It would outlive the transaction, so it is let go of even where explaining failed.
 */
const explainIn = async (tx: Transaction, input: ExplainInput): Promise<Explained> => {
  const name = `plan_${crypto.randomUUID().replaceAll('-', '')}`
  await repository.runOne(tx, `prepare ${name} as ${input.text}`)
  const options = `format json, verbose${input.analyze ? ', analyze, buffers' : ''}`
  try {
    const [row] = await tx.savepoint((point) =>
      repository.runOne(
        point as Transaction,
        `explain (${options}) execute ${name}${valuesOf(input)}`,
      ),
    )
    const [explained] = Object.values(row ?? {})[0] as Explained[]
    return explained!
  } finally {
    await repository.runOne(tx, `deallocate ${name}`)
  }
}

const findFacts = async (tx: Transaction, placed: readonly Placed[]): Promise<Facts> => {
  const named = tablesOf(placed)
  const schemas = named.map(({ schema }) => schema)
  const names = named.map(({ name }) => name)
  return {
    tables: await repository.listTables(tx, schemas, names),
    indexes: await repository.listIndexes(tx, schemas, names),
    foreignKeys: await repository.listBareForeignKeys(tx, schemas, names),
  }
}

/** Asks for a plan in a transaction that can write nothing, has bounds, and is rolled back. */
export const explain = async (sql: Sql, input: ExplainInput): Promise<Outcome> => {
  try {
    const asking = inPlatformSnapshot(sql, async (tx): Promise<Outcome> => {
      const planMode = input.parameters ? 'force_custom_plan' : 'force_generic_plan'
      await repository.boundTransaction(tx, {
        statementMs: STATEMENT_MS,
        lockMs: LOCK_MS,
        idleMs: IDLE_MS,
        planMode,
      })
      const explained = await explainIn(tx, input)
      const placed = placedNodes(explained.Plan)
      throw new RolledBack({ explained, placed, facts: await findFacts(tx, placed) })
    })
    return await beforeDeadline(asking, DEADLINE_MS)
  } catch (error) {
    if (error instanceof RolledBack) return error.outcome
    throw error
  }
}
