import { join } from 'node:path'
import type { PGlite } from '@electric-sql/pglite'
import type { ShadowIndex, ShadowQuestion, ShadowRelation } from '../../shadow.ts'
import { setLevels, setPages } from './files.ts'
import { setCounts } from './make.ts'

/** Prepared queries that are kept. */
const PREPARED_MAX = 500
/** Rows of pg_index that may be dead before they are cleaned away; nobody else does here. */
const DEAD_MAX = 300

type Placed = { schema: string; name: string }
const keyOf = ({ schema, name }: Placed) => `${schema}.${name}`

/** Everything that is asked of a shadow that was made. */
export const createAsking = (db: PGlite, folder: string, relations: readonly ShadowRelation[]) => {
  const files = join(folder, 'postgres')
  const known = new Map(relations.map((relation) => [keyOf(relation), relation]))
  /** The indexes that stand for an added one. */
  const added = new Map<string, number[]>()
  const existing = new Map<string, number[]>()
  const invalid = new Set<number>()
  const prepared = new Map<string, string>()
  let dead = 0

  const pathOf = async (oid: number) => {
    const { rows } = await db.query<{ path: string | null }>(
      'select pg_relation_filepath($1::oid::regclass) as path',
      [oid],
    )
    return rows[0]?.path ?? undefined
  }

  const oidOf = async ({ schema, name }: Placed) => {
    const { rows } = await db.query<{ oid: number | null }>(
      `select to_regclass(format('%I.%I', $1::text, $2::text))::oid as oid`,
      [schema, name],
    )
    return rows[0]?.oid ?? undefined
  }

  /**
   * Turns them the other way round: those that are seen are not any more. What is not alive is not even opened by the planner, where
   * what is not valid is opened and left; which indexes a table has it looks up anew when the table's own row was written.
   */
  const turning = (oids: readonly number[]) => `execute turn('{${oids.join()}}')`
  const prepareTurning = () =>
    db.exec(`prepare turn (oid[]) as
    with turned as (
      update pg_index set indisvalid = not indisvalid, indislive = not indislive where indexrelid = any($1) returning indrelid)
    update pg_class set relhasindex = relhasindex where oid in (select indrelid from turned)`)

  const turned = async (oids: readonly number[]) => {
    for (const oid of oids) if (!invalid.delete(oid)) invalid.add(oid)
    dead += oids.length
    if (dead < DEAD_MAX) return
    // Each by itself: what comes together is a transaction, in which nothing is vacuumed.
    for (const catalog of ['pg_index', 'pg_class']) await db.exec(`vacuum ${catalog}`)
    dead = 0
  }

  /** Gives the files the lengths that the planner shall see. */
  const fill = async (relation: ShadowRelation) => {
    const oid = await oidOf(relation)
    const path = oid === undefined ? undefined : await pathOf(oid)
    if (path !== undefined) await setPages(files, path, relation.pages)
    return path
  }

  const fillAll = async () => {
    await prepareTurning()
    for (const relation of relations) {
      const path = await fill(relation)
      if (path !== undefined && relation.levels > 0) await setLevels(files, path, relation.levels)
    }
  }

  /** An index is built over an empty table: nothing but zeros would be read otherwise, all of it. */
  const emptied = async (tables: readonly Placed[], work: () => Promise<void>) => {
    const those = [...new Set(tables.flatMap((table) => known.get(keyOf(table)) ?? []))]
    for (const table of those) await fill({ ...table, pages: 0 })
    // Whoever counts anew looks at the files anew.
    await setCounts(db, those)
    try {
      await work()
    } finally {
      for (const table of those) await fill(table)
      await setCounts(db, those)
    }
  }

  const listParts = async ({ name, table }: ShadowIndex) => {
    const { rows } = await db.query<Placed & { oid: number; table: string; path: string | null }>(
      `with recursive parts (oid) as (
        select to_regclass(format('%I.%I', $1::text, $2::text))::oid
        union all select p.inhrelid from pg_inherits p join parts on parts.oid = p.inhparent)
      select c.oid, n.nspname as schema, c.relname as name, t.relname as table, pg_relation_filepath(c.oid) as path
      from parts join pg_class c on c.oid = parts.oid join pg_namespace n on n.oid = c.relnamespace
      join pg_index i on i.indexrelid = c.oid join pg_class t on t.oid = i.indrelid where c.relkind = 'i'`,
      [table.schema, name],
    )
    return rows
  }

  /** Makes one over tables that are empty now. */
  const create = async (index: ShadowIndex): Promise<string[] | { refused: string }> => {
    try {
      await db.query(index.statement)
      return []
    } catch (error) {
      return { refused: error instanceof Error ? error.message : String(error) }
    }
  }

  const fillIndex = async (index: ShadowIndex) => {
    const counted: Parameters<typeof setCounts>[1][number][] = []
    const parts = await listParts(index)
    for (const { schema, name, table, path } of parts) {
      const figures = index.parts.find((part) => part.schema === schema && part.name === table)
      if (!figures || path === null) continue
      await setPages(files, path, figures.pages)
      if (figures.levels > 0) await setLevels(files, path, figures.levels)
      const { pages: countedPages, rows } = figures
      counted.push({ schema, name, countedPages, rows, allVisiblePages: 0 })
    }
    added.set(
      index.name,
      parts.map(({ oid }) => oid),
    )
    return { counted, names: parts.map(keyOf) }
  }

  /** Tables are emptied once for all that are added to them. */
  const add = async (indexes: readonly ShadowIndex[]) => {
    const answers: (string[] | { refused: string })[] = []
    await emptied(
      indexes.flatMap(({ parts }) => parts),
      async () => {
        for (const index of indexes) answers.push(await create(index))
      },
    )
    const counted: Parameters<typeof setCounts>[1][number][] = []
    for (const [at, index] of indexes.entries()) {
      if (!Array.isArray(answers[at])) continue
      const filled = await fillIndex(index)
      counted.push(...filled.counted)
      answers[at] = filled.names
    }
    await setCounts(db, counted)
    const made = indexes.flatMap(({ name }) => added.get(name) ?? [])
    if (made.length > 0) await db.exec(turning(made))
    await turned(made)
    return answers
  }

  /** The index of this name and, of a partitioned table, those of its partitions. */
  const existingOf = async (name: string) => {
    const before = existing.get(name)
    if (before) return before
    const { rows } = await db.query<{ oid: number }>(
      `with recursive parts (oid) as (
        select i.indexrelid from pg_index i join pg_class c on c.oid = i.indexrelid
          join pg_namespace n on n.oid = c.relnamespace where n.nspname || '.' || c.relname = $1
        union all select p.inhrelid from pg_inherits p join parts on parts.oid = p.inhparent)
      select oid from parts`,
      [name],
    )
    const oids = rows.map(({ oid }) => oid)
    existing.set(name, oids)
    return oids
  }

  /** The indexes that are seen and shall not be, or the other way round. */
  const listWrong = async ({ visible, hidden }: ShadowQuestion) => {
    const seen = new Set(visible.flatMap((name) => added.get(name) ?? []))
    const away = new Set<number>()
    for (const name of hidden) for (const oid of await existingOf(name)) away.add(oid)
    for (const oids of added.values()) for (const oid of oids) if (!seen.has(oid)) away.add(oid)
    return [
      ...[...invalid].filter((oid) => !away.has(oid)),
      ...[...away].filter((oid) => !invalid.has(oid)),
    ]
  }

  const prepare = async (text: string) => {
    const before = prepared.get(text)
    if (before !== undefined) return before
    if (prepared.size >= PREPARED_MAX) {
      await db.exec('deallocate all')
      await prepareTurning()
      prepared.clear()
    }
    const name = `query_${prepared.size}`
    // One statement, never more: this protocol refuses a second one.
    await db.query(`prepare ${name} as ${text}`)
    prepared.set(text, name)
    return name
  }

  /** All in one message: what is turned stays so only if the question is answered. */
  const explain = async (question: ShadowQuestion): Promise<Record<string, unknown>> => {
    const wrong = await listWrong(question)
    const name = await prepare(question.text)
    const values = Array(question.parametersMax).fill('null').join(', ')
    const answers = await db.exec(
      `${wrong.length > 0 ? `${turning(wrong)};` : ''}
      explain (format json, verbose) execute ${name}${values && `(${values})`}`,
    )
    await turned(wrong)
    const [explained] = Object.values(answers.at(-1)!.rows[0] as object)[0] as { Plan: object }[]
    return explained!.Plan as Record<string, unknown>
  }

  return { fillAll, add, explain }
}
