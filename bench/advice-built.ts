import { type Candidate, candidateText, createStatement } from '../src/advisor/candidate.ts'
import type { Costed, PlannedQuery } from '../src/advisor/planner.ts'
import { costedOf } from '../src/advisor/session.ts'
import { explainPrepared, runOne } from '../src/advisor/session-repository.ts'
import type { Sql } from '../src/platform/db/connect.ts'

type Built = { name: string; table: string; bytes: number }

/** The server itself with indexes that were really built. It is asked with some of them: the others are marked invalid meanwhile. */
export type BuiltIndexes = {
  build(candidates: readonly Candidate[], onDone?: (done: number) => void): Promise<void>
  /** Makes these the ones that the planner sees. */
  show(candidates: readonly Candidate[]): Promise<void>
  plan(query: PlannedQuery, candidates: readonly Candidate[]): Promise<Costed>
  /** Milliseconds that it takes to run, as the server counts them. */
  run(query: PlannedQuery, values: readonly string[]): Promise<number>
  bytesOf(candidate: Candidate): number
  has(candidate: Candidate): boolean
}

/** Rows of `pg_index` that were changed before they are cleaned up. */
const TOGGLES_MAX = 500

/** What holds for this server alone: its catalog is written by hand, as only a database that is thrown away may be treated. */
export const openBuilt = async (sql: Sql): Promise<BuiltIndexes> => {
  await runOne(sql, 'set plan_cache_mode = force_generic_plan')
  const built = new Map<string, Built>()
  const textOfName = new Map<string, string>()
  const shown = new Set<string>()
  let toggles = 0

  const toggle = async (names: readonly string[], isValid: boolean) => {
    if (names.length === 0) return
    await sql`update pg_index set indisvalid = ${isValid} where indexrelid = any(${names as string[]}::text[]::regclass[])`
    for (const name of names) isValid ? shown.add(name) : shown.delete(name)
    toggles += names.length
    if (toggles < TOGGLES_MAX) return
    toggles = 0
    await runOne(sql, 'vacuum pg_index')
  }

  const builtOf = (candidate: Candidate) => {
    const found = built.get(candidateText(candidate))
    if (!found) throw new Error(`nobody has built the index ${candidateText(candidate)}`)
    return found
  }

  const showAll = async (wanted: readonly Built[], of: (each: Built) => boolean = () => true) => {
    const names = new Set(wanted.map(({ name }) => name))
    const others = [...built.values()].filter(of).map(({ name }) => name)
    await toggle(
      others.filter((name) => shown.has(name) && !names.has(name)),
      false,
    )
    await toggle(
      [...names].filter((name) => !shown.has(name)),
      true,
    )
  }

  const prepared = async <Answer>(text: string, work: (name: string) => Promise<Answer>) => {
    // Prepared anew each time: a plan that is kept does not learn that an index went.
    await runOne(sql, `prepare truth as ${text}`)
    try {
      return await work('truth')
    } finally {
      await runOne(sql, 'deallocate truth')
    }
  }

  const plan = async (query: PlannedQuery, candidates: readonly Candidate[]) => {
    const wanted = candidates.map(builtOf)
    await showAll(wanted, ({ table }) => query.text.includes(table))
    const root =
      query.parametersMax > 0
        ? await prepared(query.text, (name) => explainPrepared(sql, name, query))
        : await explained(sql, query.text)
    return costedOf(root, (_, name) => textOfName.get(name))
  }

  /** What is shown is of the whole server: one question at a time. */
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <Answer>(work: () => Promise<Answer>): Promise<Answer> => {
    const turn = last.then(work, work)
    last = turn.catch(() => {})
    return turn
  }

  return {
    build: async (candidates, onDone = () => {}) => {
      const missing = [
        ...new Map(candidates.map((each) => [candidateText(each), each])).entries(),
      ].filter(([text]) => !built.has(text))
      for (const [done, [text, candidate]] of missing.entries()) {
        onDone(done)
        const name = `built_${built.size + 1}`
        await runOne(sql, createStatement(candidate, { name }))
        const [row] = await sql<{ bytes: number }[]>`
          select pg_relation_size(${name}::text::regclass) as bytes`
        built.set(text, { name, table: candidate.table.name, bytes: row!.bytes })
        textOfName.set(name, text)
        shown.add(name)
      }
    },
    show: (candidates) => showAll(candidates.map(builtOf)),
    plan: (query, candidates) => inTurn(() => plan(query, candidates)),
    run: (query, values) =>
      prepared(query.text, async (name) => {
        const given = values.length > 0 ? `(${values.join(', ')})` : ''
        const [row] = await runOne(
          sql,
          `explain (analyze, timing off, format json) execute ${name}${given}`,
        )
        const [answer] = Object.values(row!)[0] as { 'Execution Time': number }[]
        return answer!['Execution Time']
      }),
    bytesOf: (candidate) => builtOf(candidate).bytes,
    has: (candidate) => built.has(candidateText(candidate)),
  }
}

const explained = async (sql: Sql, text: string) => {
  const [row] = await runOne(sql, `explain (format json, verbose) ${text}`)
  const [answer] = Object.values(row!)[0] as { Plan: Record<string, unknown> }[]
  return answer!.Plan
}
