import { join } from 'node:path'
import type { PGlite } from '@electric-sql/pglite'
import type { ShadowIndex, ShadowRelation } from '../../shadow.ts'
import { setLevels, setPages } from './files.ts'
import { type Counted, setCounts } from './make.ts'

type Placed = { schema: string; name: string }
const keyOf = ({ schema, name }: Placed) => `${schema}.${name}`

/** What makes the planner of a shadow believe that tables and indexes are full: their files, and what was counted of them. */
export const createFilling = (db: PGlite, folder: string, relations: readonly ShadowRelation[]) => {
  const files = join(folder, 'postgres')
  const known = new Map(relations.map((relation) => [keyOf(relation), relation]))

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

  /** Gives the files the lengths that the planner shall see. */
  const fill = async (relation: ShadowRelation) => {
    const oid = await oidOf(relation)
    const path = oid === undefined ? undefined : await pathOf(oid)
    if (path !== undefined) await setPages(files, path, relation.pages)
    return path
  }

  const fillAll = async () => {
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

  const fillIndex = async (index: ShadowIndex) => {
    const counted: Counted[] = []
    const parts = await listParts(index)
    for (const { schema, name, table, path } of parts) {
      const figures = index.parts.find((part) => part.schema === schema && part.name === table)
      if (!figures || path === null) continue
      await setPages(files, path, figures.pages)
      if (figures.levels > 0) await setLevels(files, path, figures.levels)
      const { pages: countedPages, rows } = figures
      counted.push({ schema, name, countedPages, rows, allVisiblePages: 0 })
    }
    return { counted, names: parts.map(keyOf), oids: parts.map(({ oid }) => oid) }
  }

  return { fillAll, emptied, fillIndex }
}
