import type { Queryable } from '../platform/db/connect.ts'
import { SHADOW_EXTENSIONS, type ShadowShape, type ShadowStep } from '../platform/shadow.ts'
import { quoteIdentifier } from './candidate.ts'
import * as repository from './replay-repository.ts'
import { btreeLevels } from './size.ts'
import { findDatabase, listSettings } from './target-repository.ts'

/** What a shadow of a database is made of, and what of the database it will not have, in words. */
export type Replay = ShadowShape & {
  /** Of each partition its parent, as schema.name. */
  partitions: { parent: string; partition: string }[]
  notes: string[]
}

const stepOf = ({ what, statement }: repository.Made): ShadowStep => ({
  what,
  statements: [statement],
})

const tableStep = ({ schema, name, ...table }: repository.TableMade): ShadowStep => ({
  what: `the table ${schema}.${name}`,
  statements: [table.statement],
  ...(table.isPartition ? {} : { otherwise: [table.simple] }),
})

const extensionSteps = (extensions: { name: string; schema: string }[]) =>
  extensions
    .filter(({ name }) => name !== 'plpgsql')
    .map(({ name, schema }) => ({
      what: `the extension ${name}`,
      statements: [
        `create schema if not exists ${quoteIdentifier(schema)}`,
        `create extension if not exists ${quoteIdentifier(name)} schema ${quoteIdentifier(schema)} cascade`,
      ],
    }))

/** Locales that sort as the shadow does. */
const BY_CODE_POINT = /^(?:C|POSIX)(?:\.utf-?8)?$/i

const LANGUAGES = new Set(['sql', 'plpgsql'])

/** Bytes of a key of which nothing is known. */
const KEY_BYTES = 16

/** Relations with the heights of their B-trees, which follow from the widths of their keys. */
const relationsOf = (
  rows: readonly repository.RelationRow[],
  statistics: ShadowShape['statistics'],
): ShadowShape['relations'] => {
  const placeOf = (...names: (string | null)[]) => JSON.stringify(names)
  const widths = new Map(
    statistics.map((each) => [
      placeOf(each.schemaname, each.relname, each.attname),
      Number(each.avg_width),
    ]),
  )
  return rows.map(({ isBtree, keys, ...relation }) => {
    const keyWidths = (keys ?? []).map(({ table, column, bytes }) => ({
      bytes: bytes ?? widths.get(placeOf(relation.schema, table, column)) ?? KEY_BYTES,
      align: 1,
    }))
    return { ...relation, levels: isBtree ? btreeLevels(relation.pages, keyWidths) : 0 }
  })
}

/** Tables whose rows were counted and of whose columns nothing may be read. */
const unreadable = ({ relations, statistics }: Pick<ShadowShape, 'relations' | 'statistics'>) => {
  const known = new Set(statistics.map(({ schemaname, relname }) => `${schemaname}.${relname}`))
  return (tables: ReadonlySet<string>) =>
    relations
      .filter(({ rows }) => (rows ?? 0) > 0)
      .map(({ schema, name }) => `${schema}.${name}`)
      .filter((name) => tables.has(name) && !known.has(name))
}

/**
 * Reads what a shadow of this database needs: statements that make its shape, and the statistics of its planner. What
 * cannot be carried over is told in words.
 */
export const readReplay = async (
  sql: Queryable,
  { schemas }: { schemas?: string[] } = {},
): Promise<Replay> => {
  const database = await findDatabase(sql)
  const settings = await listSettings(sql)
  const sorting = await repository.findSorting(sql)
  const installed = await repository.listExtensions(sql)
  const extensions = installed.filter(({ name }) => SHADOW_EXTENSIONS.includes(name))
  const functions = await repository.listFunctions(sql)
  const tables = await repository.listTables(sql, schemas, SHADOW_EXTENSIONS)
  const extended = await repository.listExtendedStatistics(sql, schemas)
  const statistics = await repository.listStatistics(sql, schemas)
  const relations = relationsOf(await repository.listRelations(sql, schemas), statistics)
  const steps = [
    ...(await repository.listSchemas(sql, undefined)).map(stepOf),
    ...extensionSteps(extensions),
    ...(await repository.listCollations(sql)).map(stepOf),
    ...(await repository.listTypes(sql)).map(stepOf),
    ...functions.filter(({ language }) => LANGUAGES.has(language)).map(stepOf),
    ...tables.map(tableStep),
    ...(await repository.listConstraints(sql, schemas)).map(stepOf),
    ...(await repository.listIndexes(sql, schemas)).map(stepOf),
    ...(await repository.listAttached(sql, schemas)).map(stepOf),
    ...(await repository.listViews(sql, schemas)).map(stepOf),
    ...extended.map(stepOf),
  ]
  const named = new Set(tables.map(({ schema, name }) => `${schema}.${name}`))
  const policies = tables.filter(({ hasPolicies }) => hasPolicies).map(({ name }) => name)
  return {
    searchPath: database.searchPath,
    isBytewise: sorting.isBytewise,
    settings: Object.fromEntries(settings.map(({ name, value }) => [name, value])),
    extensions: extensions.map(({ name }) => name),
    steps,
    relations,
    statistics,
    partitions: await repository.listPartitions(sql),
    notes: [
      ...tables.flatMap(({ schema, name, lost }) =>
        (lost ?? []).map(
          ({ column, extension }) =>
            `${schema}.${name}.${column} is planned as text: its type is of the extension ${extension}.`,
        ),
      ),
      ...functions
        .filter(({ language }) => !LANGUAGES.has(language))
        .map(
          ({ what, language }) =>
            `What needs ${what} is not planned: it is written in ${language}.`,
        ),
      ...(await repository.listForeignTables(sql, schemas)).map(
        ({ name }) => `Queries over ${name} are not planned: its rows are elsewhere.`,
      ),
      ...unreadable({ relations, statistics })(named).map(
        (name) =>
          `No statistics of ${name} may be read (or none were taken), so its planner guesses.`,
      ),
      ...(policies.length > 0
        ? [`Policies of rows are not planned with: those of ${policies.join(', ')}.`]
        : []),
      ...(BY_CODE_POINT.test(sorting.name)
        ? []
        : [`Texts are sorted by code points in the shadow, not as ${sorting.name} does.`]),
      ...(extended.length > 0
        ? [`What ${extended.map(({ what }) => what).join(', ')} know is not carried over.`]
        : []),
    ],
  }
}
