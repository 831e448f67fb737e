import * as v from 'valibot'

/** One line of an archive. */
export const ArchiveLine = v.union([
  v.object({ table: v.string(), row: v.record(v.string(), v.unknown()) }),
  v.object({ complete: v.literal(true), rows: v.number() }),
])
