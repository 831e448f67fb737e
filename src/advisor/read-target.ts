import type { Queryable } from '../platform/db/connect.ts'
import type { Target, TargetColumn } from './target.ts'
import * as repository from './target-repository.ts'

const columnOf = ({
  oid: _,
  values,
  shares,
  bounds,
  ...column
}: repository.ColumnRow): TargetColumn => ({
  ...column,
  bounds: bounds ?? [],
  common: (values ?? []).map((value, at) => ({ value, share: shares?.[at] ?? 0 })),
})

const byTable = <Row extends { oid: number }>(rows: readonly Row[]) =>
  Map.groupBy(rows, (row) => row.oid)

/**
 * The shape and the figures of a database, read from its catalogs: six statements, no locks but those of reading, no rights
 * but to connect. What the role may not read of `pg_stats` is null, as if it had never been analyzed.
 */
export const readTarget = async (
  sql: Queryable,
  { schemas }: { schemas?: string[] } = {},
): Promise<Target> => {
  const database = await repository.findDatabase(sql)
  const settings = await repository.listSettings(sql)
  const tables = await repository.listTables(sql, schemas)
  const columns = byTable(await repository.listColumns(sql, schemas))
  const indexes = byTable(await repository.listIndexes(sql, schemas))
  const foreignKeys = byTable(await repository.listForeignKeys(sql, schemas))
  return {
    ...database,
    settings: Object.fromEntries(settings.map(({ name, value }) => [name, value])),
    tables: tables.map(({ oid, ...table }) => ({
      ...table,
      columns: (columns.get(oid) ?? []).map(columnOf),
      indexes: (indexes.get(oid) ?? []).map(({ oid: _, ...index }) => ({
        ...index,
        table: { schema: table.schema, name: table.name },
      })),
      foreignKeys: (foreignKeys.get(oid) ?? []).map(({ oid: _, ...key }) => key),
    })),
  }
}
