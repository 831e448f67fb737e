import {
  type Candidate,
  candidateText,
  createStatement,
  quoteTable,
} from '../../src/advisor/candidate.ts'
import { PlanError, type PlannedQuery, type Planner } from '../../src/advisor/planner.ts'
import type { Queryable, Sql } from '../../src/platform/db/connect.ts'

type Plan = { 'Index Name'?: string; 'Total Cost': number; Plans?: Plan[] }

const run = <Row extends object>(sql: Queryable, text: string) =>
  sql.unsafe<Row[]>(text, [], { simple: false } as object)

const indexNames = (plan: Plan): string[] => [
  ...(plan['Index Name'] === undefined ? [] : [plan['Index Name']]),
  ...(plan.Plans ?? []).flatMap(indexNames),
]

/** What the query itself is to blame for. */
const asPlanError = (error: unknown): never => {
  const { code = '', message } = error as { code?: string; message: string }
  throw /^(?:42|22|0A|54)/.test(code) ? new PlanError(message) : error
}

/** Ends a transaction that did its work. */
class Undone extends Error {
  readonly plan: Plan
  constructor(plan: Plan) {
    super('undone')
    this.plan = plan
  }
}

/** Planners so far: no two give their indexes the same names. */
let planners = 0

/**
 * A planner whose indexes are really there: each is built once, and for a plan only those are valid that are asked about. Needs
 * a superuser.
 */
export const openBuilding = (sql: Sql): Planner => {
  const prefix = `tried_${planners++}`
  const built = new Map<string, Promise<string>>()
  /** By the names of their indexes, also those of partitions. */
  const texts = new Map<string, string>()

  const build = async (candidate: Candidate) => {
    const name = `${prefix}_${built.size}`
    await run(sql, createStatement(candidate, { name })).catch(asPlanError)
    const parts = await sql<{ name: string }[]>`
      select relid::regclass::text as name from pg_partition_tree(${quoteTable({ ...candidate.table, name })}::regclass)`
    for (const each of [name, ...parts.map((part) => part.name)])
      texts.set(each, candidateText(candidate))
    return name
  }
  const nameOf = (candidate: Candidate) => {
    const text = candidateText(candidate)
    const name = built.get(text) ?? build(candidate)
    built.set(text, name)
    return name
  }

  const explain = ({ text, parametersMax }: PlannedQuery, shown: string[], hidden: string[]) =>
    sql
      .begin(async (tx): Promise<Plan> => {
        const shownTexts = new Set(shown.map((name) => texts.get(name)))
        const away = [...texts].filter(([, text]) => !shownTexts.has(text)).map(([name]) => name)
        await tx`
          update pg_index set indisvalid = false from pg_class c join pg_namespace n on n.oid = c.relnamespace
          where c.oid = indexrelid and indisvalid
            and (c.relname = any(${away}) or n.nspname || '.' || c.relname = any(${hidden}))`
        await tx`select set_config('plan_cache_mode', 'force_generic_plan', true)`
        const name = `asked_${Math.random().toString(36).slice(2)}`
        await run(tx, `prepare ${name} as ${text}`)
        const nulls = Array(parametersMax).fill('null').join(', ')
        const [row] = await run<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
          tx,
          `explain (format json, verbose) execute ${name}${parametersMax > 0 ? `(${nulls})` : ''}`,
        )
        await run(tx, `deallocate ${name}`)
        throw new Undone((Object.values(row!)[0] as [{ Plan: Plan }])[0].Plan)
      })
      .catch((error: unknown) => (error instanceof Undone ? error.plan : asPlanError(error)))

  // Two that hide the same indexes in another order would wait for one another.
  let turn: Promise<unknown> = Promise.resolve()
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const mine = turn.then(work, work)
    turn = mine
    return mine
  }

  return {
    how: 'built',
    plan: async (query, { with: candidates, without = [] }) => {
      const plan = await inTurn(async () => {
        const shown: string[] = []
        for (const each of candidates) shown.push(await nameOf(each))
        return explain(query, shown, [...without])
      })
      const names = [...new Set(indexNames(plan))]
      return {
        cost: plan['Total Cost'],
        candidates: [...new Set(names.flatMap((name) => texts.get(name) ?? []))],
        indexes: names.filter((name) => !texts.has(name)).map((name) => `public.${name}`),
        plan,
      }
    },
    bytesOf: async (candidate) => {
      const name = await inTurn(() => nameOf(candidate))
      const [row] = await sql<{ bytes: number }[]>`
        select pg_relation_size(c.oid) as bytes from pg_class c where relname = ${name}`
      return row!.bytes
    },
    close: async () => {},
  }
}
