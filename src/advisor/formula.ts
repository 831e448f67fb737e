import { type SqlParser, SqlSyntaxError } from '../platform/sql-parser.ts'
import { canonicalTarget } from './canonical.ts'
import { candidateBytes, heldCandidate, heldIndex } from './held-index.ts'
import { cheapestWay } from './joining.ts'
import {
  type Costed,
  PlanError,
  type PlannedQuery,
  type Planner,
  type Situation,
} from './planner.ts'
import { readReferences } from './references.ts'
import type { References, Relation } from './relation.ts'
import { findTable, type Target } from './target.ts'
import { unitsOf } from './units.ts'

/** What a query costs that reads no table. */
const NOTHING: Costed = { cost: 0.01, candidates: [], indexes: [], plan: null }

/** Share of the rows that a partial index is taken to hold. */
const PARTIAL_SHARE = 0.1

/**
 * A planner that is arithmetic: pages, rows and the statistics of columns by the formulas of PostgreSQL's own, joins one after the
 * other. It needs no database, so that it runs anywhere; what it says is unverified. It knows no views.
 */
export const openFormulaPlanner = (given: Target, parser: SqlParser): Planner => {
  const units = unitsOf(given.settings)
  const read = new Map<string, Promise<References>>()
  let canonical: Promise<Target> | undefined

  const targetOf = () => {
    canonical ??= canonicalTarget(parser, given)
    return canonical
  }

  const referencesOf = ({ text }: PlannedQuery): Promise<References> => {
    const known =
      read.get(text) ?? targetOf().then((target) => readReferences(parser, text, target))
    read.set(text, known)
    return known.catch((error: unknown) => {
      throw error instanceof SqlSyntaxError
        ? new PlanError(`It is not SQL: ${error.message}`)
        : error
    })
  }

  const indexesOf = (relation: Relation, { with: candidates, without = [] }: Situation) => {
    const { schema, name, indexes } = relation.table
    const held = indexes
      .filter((each) => each.isValid && !without.includes(`${schema}.${each.name}`))
      .map(heldIndex)
    const own = candidates.filter(({ table }) => table.schema === schema && table.name === name)
    return [...held, ...own.map((each) => heldCandidate(each, relation))]
  }

  return {
    how: 'formula',
    plan: async (query, situation) => {
      const references = await referencesOf(query)
      const [unknown] = references.unknown
      if (unknown !== undefined)
        throw new PlanError(`of ${unknown} nothing is known: it is no table, or a view`)
      if (references.relations.length === 0) return NOTHING
      const tables = new Map(references.relations.map((each) => [each, indexesOf(each, situation)]))
      const { cost, indexes } = cheapestWay(references, tables, units)
      const names = (isCandidate: boolean) => [
        ...new Set(
          indexes.filter((each) => each.isCandidate === isCandidate).map(({ name }) => name),
        ),
      ]
      return { cost, candidates: names(true), indexes: names(false), plan: null }
    },
    bytesOf: async (candidate) => {
      const table = findTable(given, candidate.table)
      return table
        ? candidateBytes(candidate, table, candidate.where === null ? 1 : PARTIAL_SHARE)
        : 0
    },
    close: async () => {},
  }
}
