import type { PGlite } from '@electric-sql/pglite'
import type { ShadowRelation, ShadowShape, ShadowStatistics, ShadowStep } from '../../shadow.ts'

export type Failed = { what: string; why: string }
const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** All statements or none. */
const tryAll = async (db: PGlite, statements: readonly string[]): Promise<string | undefined> => {
  try {
    await db.transaction((tx) => tx.exec(statements.join(';\n')))
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** Steps that are made with one message; where one of them fails, each by itself. */
const STEPS_AT_ONCE = 50

type Waiting = { step: ShadowStep; why: string }

/** Answers those that could not be made. */
const makeSteps = async (db: PGlite, waiting: readonly Waiting[]): Promise<Waiting[]> => {
  const failed: Waiting[] = []
  for (let at = 0; at < waiting.length; at += STEPS_AT_ONCE) {
    const some = waiting.slice(at, at + STEPS_AT_ONCE)
    const statements = some.flatMap(({ step }) => step.statements)
    if ((await tryAll(db, statements)) === undefined) continue
    for (const { step } of some) {
      const why = await tryAll(db, step.statements)
      if (why !== undefined) failed.push({ step, why })
    }
  }
  return failed
}

/** Makes what can be made; a step that fails waits for those behind it. */
const makeShape = async (db: PGlite, steps: readonly ShadowStep[]): Promise<Failed[]> => {
  let waiting: Waiting[] = steps.map((step) => ({ step, why: '' }))
  for (;;) {
    const failed = await makeSteps(db, waiting)
    if (failed.length === 0) return []
    if (failed.length === waiting.length) {
      const simpler = failed.filter(({ step }) => step.otherwise)
      if (simpler.length === 0) return failed.map(({ step: { what }, why }) => ({ what, why }))
      const rest = failed.map(({ step, why }) => ({
        step: step.otherwise ? { what: step.what, statements: step.otherwise } : step,
        why,
      }))
      const told = simpler.map(({ step: { what }, why }) => ({ what: `${what}, as it is`, why }))
      return [
        ...told,
        ...(await makeShape(
          db,
          rest.map(({ step }) => step),
        )),
      ]
    }
    waiting = failed
  }
}

const SETTINGS_OF_STATISTICS = ['TimeZone', 'DateStyle', 'IntervalStyle']

const set = async (db: PGlite, name: string, value: string) => {
  await db.query('select set_config($1, $2, false)', [name, value]).catch(() => {})
}

const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`

/** What the target's planner does not know yet is turned off here. */
const setPlanner = async (db: PGlite, settings: Record<string, string>) => {
  for (const [name, value] of Object.entries(settings)) await set(db, name, value)
  const { rows } = await db.query<{ name: string }>(
    `select name from pg_settings where name like 'enable\\_%'`,
  )
  for (const { name } of rows) if (!(name in settings)) await set(db, name, 'off')
  for (const [name, value] of [
    ['max_parallel_workers_per_gather', '0'],
    ['jit', 'off'],
    ['plan_cache_mode', 'force_generic_plan'],
  ] as const)
    await set(db, name, value)
}

const NUMBERS = { null_frac: 'real', avg_width: 'integer', n_distinct: 'real', correlation: 'real' }
const TEXTS = {
  most_common_vals: 'text',
  most_common_freqs: 'real[]',
  histogram_bounds: 'text',
  most_common_elems: 'text',
  most_common_elem_freqs: 'real[]',
  elem_count_histogram: 'real[]',
  range_length_histogram: 'text',
  range_empty_frac: 'real',
  range_bounds_histogram: 'text',
}

const restoreStatement = () => {
  const pairs = Object.entries({ ...NUMBERS, ...TEXTS }).map(
    ([name, type]) => `'${name}', (s ->> '${name}')::${type}`,
  )
  return `select s ->> 'relname' as relation, s ->> 'attname' as column from jsonb_array_elements($1::jsonb) s
    where not pg_restore_attribute_stats('schemaname', s ->> 'schemaname', 'relname', s ->> 'relname',
      'attname', s ->> 'attname', 'inherited', (s ->> 'inherited')::boolean, ${pairs.join(', ')})`
}

/** Many with one statement; where that fails, one after another. */
const restoreStatistics = async (
  db: PGlite,
  statistics: readonly ShadowStatistics[],
): Promise<Failed[]> => {
  const AT_ONCE = 100
  const failed: Failed[] = []
  const restore = async (some: readonly ShadowStatistics[]): Promise<void> => {
    try {
      const { rows } = await db.query<{ relation: string; column: string }>(restoreStatement(), [
        JSON.stringify(some),
      ])
      for (const { relation, column } of rows)
        failed.push({ what: `statistics of ${relation}.${column}`, why: 'not all were taken' })
    } catch (error) {
      if (some.length > 1) for (const one of some) await restore([one])
      else
        for (const { relname, attname } of some)
          failed.push({ what: `statistics of ${relname}.${attname}`, why: reasonOf(error) })
    }
  }
  for (let at = 0; at < statistics.length; at += AT_ONCE)
    await restore(statistics.slice(at, at + AT_ONCE))
  return failed
}

/** What was counted of a relation. */
export type Counted = Omit<ShadowRelation, 'pages' | 'levels'>

/** Tells the catalog what was counted; of what was never counted it keeps that. */
export const setCounts = async (db: PGlite, relations: readonly Counted[]): Promise<void> => {
  await db.query(
    `select pg_restore_relation_stats('schemaname', s ->> 'schema', 'relname', s ->> 'name',
      'relpages', (s ->> 'countedPages')::float8::integer, 'reltuples', (s ->> 'rows')::real,
      'relallvisible', (s ->> 'allVisiblePages')::float8::integer)
    from jsonb_array_elements($1::jsonb) s
    where to_regclass(format('%I.%I', s ->> 'schema', s ->> 'name')) is not null`,
    [JSON.stringify(relations.map((each) => ({ ...each, rows: each.rows ?? -1 })))],
  )
}

/** Makes the shape with its statistics, all of it empty. */
export const makeShadow = async (
  db: PGlite,
  { searchPath, settings, steps, relations, statistics }: ShadowShape,
): Promise<Failed[]> => {
  await set(db, 'check_function_bodies', 'off')
  await set(db, 'search_path', searchPath.map(quoted).join(', '))
  for (const name of SETTINGS_OF_STATISTICS)
    if (settings[name] !== undefined) await set(db, name, settings[name])
  const failed = await makeShape(db, steps)
  failed.push(...(await restoreStatistics(db, statistics)))
  await setCounts(db, relations)
  await setPlanner(db, settings)
  return failed
}
