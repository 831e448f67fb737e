import type { PGlite } from '@electric-sql/pglite'
import type { ShadowQuestion } from '../../shadow.ts'

/** Rows of pg_index that may be dead before they are cleaned away; nobody else does here. */
const DEAD_MAX = 300

/** Which indexes the planner of a shadow sees: of those that were added the ones that a question names, of the others all but those. */
export const createVisibility = (db: PGlite) => {
  /** The indexes that stand for an added one. */
  const added = new Map<string, number[]>()
  const existing = new Map<string, number[]>()
  const invalid = new Set<number>()
  let dead = 0

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

  return {
    /** Before anything is turned, and after all that was prepared is gone. */
    prepare: prepareTurning,
    /** The indexes that stand for one that was added; they are seen until they are turned. */
    set: (name: string, oids: number[]) => added.set(name, oids),
    oidsOf: (name: string): readonly number[] => added.get(name) ?? [],
    listWrong,
    turning,
    /** After that was carried out. */
    turned,
  }
}
