import { type Shadow, ShadowError, type ShadowIndex } from '../platform/shadow.ts'
import {
  type Candidate,
  candidateText,
  createStatement,
  quoteIdentifier,
  quoteTable,
} from './candidate.ts'
import { gatherAdded } from './gathered.ts'
import { indexSize } from './index-size.ts'
import { PlanError } from './planner.ts'
import { type IndexSize, PAGE_BYTES } from './size.ts'
import { findTable, type Target, type TargetTable } from './target.ts'

export type Partition = { parent: string; partition: string }
type Part = { table: TargetTable; size: IndexSize; rows: number }
/** A candidate as the shadow has it. */
export type Added = { name: string; text: string; candidate: Candidate; tables: string[] }

const nameOfTable = ({ schema, name }: { schema: string; name: string }) => `${schema}.${name}`

/** The tables with rows below a table, itself if it has some. */
export const createParts = (target: Target, partitions: readonly Partition[]) => {
  const below = Map.groupBy(partitions, ({ parent }) => parent)
  const tables = new Map(target.tables.map((table) => [nameOfTable(table), table]))
  const partsOf = (name: string): TargetTable[] => {
    const table = tables.get(name)
    if (table && table.kind !== 'partitioned') return [table]
    return (below.get(name) ?? []).flatMap(({ partition }) => partsOf(partition))
  }
  return partsOf
}

/** The candidates in a shadow: measured, and added when they are first asked for. */
export const createShadowIndexes = (
  shadow: Shadow,
  target: Target,
  partsOf: (name: string) => TargetTable[],
) => {
  const measured = new Map<string, Promise<Part[]>>()
  const adding = new Map<string, Promise<Added>>()
  /** Whose index it is, by the name it has in a plan. */
  const owners = new Map<string, Added>()
  let count = 0

  /** What is true of a table's rows is asked once for all candidates. */
  const roots = new Map<string, Promise<Record<string, unknown>>>()
  const rootOf = (text: string) => {
    const before = roots.get(text)
    if (before) return before
    const root = shadow.explain({ text, parametersMax: 0, visible: [], hidden: [] })
    roots.set(text, root)
    root.catch(() => roots.delete(text))
    return root
  }

  const measurePart = async (candidate: Candidate, table: TargetTable): Promise<Part> => {
    const named = quoteTable(table)
    const where = candidate.where === null ? '' : ` where ${candidate.where}`
    const rows = Number((await rootOf(`select from ${named}${where}`))['Plan Rows'])
    const expressionBytes: number[] = []
    for (const key of candidate.keys)
      if ('expression' in key)
        expressionBytes.push(
          Number((await rootOf(`select (${key.expression}) from ${named}`))['Plan Width']),
        )
    return { table, rows, size: indexSize(candidate, table, { rows, expressionBytes }) }
  }

  const refused = (text: string) => (error: unknown) => {
    if (error instanceof ShadowError)
      throw new PlanError(`An index ${text} cannot be made: ${error.message}`)
    throw error
  }

  const measure = (candidate: Candidate): Promise<Part[]> => {
    const text = candidateText(candidate)
    const before = measured.get(text)
    if (before) return before
    const parts = partsOf(nameOfTable(candidate.table))
    const measuring = Promise.all(parts.map((table) => measurePart(candidate, table))).catch(
      refused(text),
    )
    measured.set(text, measuring)
    measuring.catch(() => measured.delete(text))
    return measuring
  }

  /**
   * The index as one whose first key nobody can skip through, since nothing is known of it: an expression that is the column itself.
   * What it is sorted by and may be read without its table's rows stays.
   */
  const readWhole = ({ candidate }: Added): Candidate | undefined => {
    const [first, ...rest] = candidate.keys
    if (!first || !('column' in first) || candidate.method !== 'btree') return undefined
    const column = quoteIdentifier(first.column)
    const keys = [{ expression: `coalesce(${column}, ${column})` }, ...rest]
    return { ...candidate, keys, include: [...new Set([first.column, ...candidate.include])] }
  }

  const describe = async (candidate: Candidate, text: string, name: string) => {
    if (!findTable(target, candidate.table))
      throw new PlanError(`There is no table ${quoteTable(candidate.table)}.`)
    const parts = await measure(candidate)
    const index: ShadowIndex = {
      name,
      statement: createStatement(candidate, { name }),
      table: candidate.table,
      parts: parts.map(({ table, rows, size }) => ({
        schema: table.schema,
        name: table.name,
        rows,
        ...size,
      })),
    }
    const tables = parts.map(({ table }) => nameOfTable(table))
    return { index, added: { name, text, candidate, tables } }
  }

  const gathered = gatherAdded(shadow)

  const addNow = async (candidate: Candidate, text: string, name: string): Promise<Added> => {
    const { index, added } = await describe(candidate, text, name)
    for (const each of await gathered(index).catch(refused(text))) owners.set(each, added)
    return added
  }

  const wholes = new Map<string, Promise<string | undefined>>()
  const readWholly = new Set<string>()
  const addWhole = async (added: Added): Promise<string | undefined> => {
    const whole = readWhole(added)
    if (!whole) return undefined
    const name = `${added.name} whole`
    const { index } = await describe(added.candidate, added.text, name)
    const statement = createStatement(whole, { name })
    const [names] = await shadow.add([{ ...index, statement }]).catch(refused(added.text))
    if (!Array.isArray(names)) return undefined
    for (const each of names) {
      // Whoever reads it reads the one that it stands for.
      owners.set(each, added)
      readWholly.add(each)
    }
    return name
  }

  return {
    owners,
    /** Names, as in a plan, of those that wholeOf has made. */
    readWholly: readWholly as ReadonlySet<string>,
    /**
     * The name of an index that costs what reading this one whole costs: servers before PostgreSQL 18 do nothing else with what does
     * not name the first key. Undefined where there can be none.
     */
    wholeOf: (name: string): Promise<string | undefined> => {
      const before = wholes.get(name)
      if (before) return before
      const added = [...owners.values()].find((each) => each.name === name)
      const whole = added ? addWhole(added) : Promise.resolve(undefined)
      wholes.set(name, whole)
      whole.catch(() => wholes.delete(name))
      return whole
    },
    add: (candidate: Candidate): Promise<Added> => {
      const text = candidateText(candidate)
      const before = adding.get(text)
      if (before) return before
      // A name that nobody else's index has.
      const made = addNow(candidate, text, `candidate ${++count}`)
      adding.set(text, made)
      made.catch(() => adding.delete(text))
      return made
    },
    bytesOf: async (candidate: Candidate): Promise<number> =>
      (await measure(candidate)).reduce((sum, { size }) => sum + size.pages * PAGE_BYTES, 0),
  }
}
