import { writeFile } from 'node:fs/promises'
import { styleText } from 'node:util'
import { SingleBar } from 'cli-progress'
import { Command, InvalidArgumentError } from 'commander'
import { type AdviceProgress, adviseDatabase } from '../advisor/service.ts'
import { connect } from '../platform/db/connect.ts'
import { openShadow } from '../platform/db/shadow/open.ts'
import { createSqlParser } from '../platform/node/sql-parser.ts'
import { readStatements } from '../workload/service.ts'
import { CommandError, readNamed } from './failure.ts'
import { htmlOf } from './optimize-html.ts'
import { textOf } from './optimize-text.ts'
import { readQueries, type Workload } from './query-file.ts'

type Asked = {
  database: string
  queries?: string
  html?: string
  json?: string
  budget?: number
  indexes?: number
  smallTables?: boolean
  consent?: boolean
}

const parser = createSqlParser()
const STATEMENTS_MAX = 100

const wholeOf = (text: string) => {
  const number = Number(text)
  if (/^\d{1,4}$/.test(text) && number > 0) return number
  throw new InvalidArgumentError('must be a whole number')
}

const UNITS: Record<string, number> = { '': 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 }
const bytesOf = (text: string) => {
  const [, number, unit = ''] = /^(\d{1,9})\s?(kB|MB|GB)?$/.exec(text) ?? []
  if (number !== undefined) return Number(number) * UNITS[unit]!
  throw new InvalidArgumentError('must be a size, such as 500MB')
}

const HELP = `
Says which indexes would help, tried in a shadow of the database: its shape and its planner's figures are read, no row, nothing is
locked and nothing is changed. Run what it prints with psql, or not.

  latchkey optimize --database postgres://me@db.example.com/shop --queries queries.sql --html report.html

A .sql file has statements that end with semicolons; a comment "-- calls: 1200" before one says how often it runs. A .json or .csv
file lists query and calls. Without a file, pg_stat_statements of the database says what runs.`

const PHASES: Record<AdviceProgress['phase'], string> = {
  reading: 'reading queries',
  candidates: 'trying indexes',
  choosing: 'choosing a set',
  confirming: 'asking again',
  drops: 'looking for what could go',
}

const createBar = () => {
  const bar = new SingleBar({
    format: `${styleText('cyan', '{bar}')} {phase} · {duration_formatted}`,
    ...{ hideCursor: true, noTTYOutput: false, stream: process.stderr, clearOnComplete: true },
  })
  bar.start(1, 0, { phase: 'reading the database' })
  return {
    at: ({ phase, done, total }: AdviceProgress) => {
      bar.setTotal(Math.max(total, 1))
      bar.update(total === 0 ? 0 : done, { phase: PHASES[phase] })
    },
    stop: () => bar.stop(),
  }
}

/** What a shape of a connection error says to a person. */
const asCommandError = (error: unknown): unknown => {
  const { code, message } = error as { code?: string; message?: string }
  if (code && /^(?:ECONNREFUSED|ENOTFOUND|EAI_AGAIN|CONNECT_TIMEOUT|28|3D)/.test(code))
    return new CommandError(`the database cannot be reached: ${message}`)
  return error
}

const workloadOf = async (
  sql: ReturnType<typeof connect>,
  { queries }: Asked,
): Promise<Workload> => {
  if (queries !== undefined) return readQueries(parser, queries, await readNamed(queries))
  const read = await readStatements(sql, parser, STATEMENTS_MAX)
  if (!read)
    throw new CommandError(
      'pg_stat_statements is not installed there; name a file of queries with --queries',
    )
  if (read.length === 0) throw new CommandError('pg_stat_statements has counted no query yet')
  return { queries: read.map(({ query, ...rest }) => ({ ...rest, text: query })), isCounted: true }
}

const write = (file: string, text: string) =>
  writeFile(file, text).catch(() => {
    throw new CommandError(`${file} cannot be written`)
  })

const optimize = async (asked: Asked) => {
  const sql = connect({ url: asked.database }, { connectionsMax: 3 })
  try {
    const workload = await workloadOf(sql, asked)
    const bar = createBar()
    const { budget: budgetBytes, indexes: indexesMax, smallTables, consent } = asked
    const settings = { parser, openShadow }
    const { target: _, ...advice } = await adviseDatabase(sql, settings, workload.queries, {
      limits: {
        ...(budgetBytes === undefined ? {} : { budgetBytes }),
        ...(indexesMax === undefined ? {} : { indexesMax }),
      },
      writesShare: () => (workload.isCounted ? 1 : 0),
      ...{ smallTables: smallTables ?? false, consent: consent ?? false, onProgress: bar.at },
    }).finally(bar.stop)
    process.stdout.write(textOf(advice))
    if (asked.html !== undefined) await write(asked.html, htmlOf(advice, new Date()))
    if (asked.json !== undefined)
      await write(asked.json, `${JSON.stringify(advice, undefined, 2)}\n`)
  } catch (error) {
    throw asCommandError(error)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/** `latchkey optimize`: index advice for any PostgreSQL database. */
export const optimizeCommand = () =>
  new Command('optimize')
    .description('Say which indexes would help the queries of any PostgreSQL database')
    .requiredOption('--database <url>', 'which database (it is only read)')
    .option('--queries <file>', 'what runs there: .sql, .json or .csv')
    .option('--html <file>', 'write a report with charts')
    .option('--json <file>', 'write everything, for programs')
    .option('--budget <size>', 'what new indexes may take, such as 500MB', bytesOf)
    .option('--indexes <number>', 'how many new indexes there may be', wholeOf)
    .option('--small-tables', 'look at tables, too, that are read whole in no time')
    .option('--consent', 'lock small tables for a moment to try indexes on them for real')
    .addHelpText('after', HELP)
    .action((asked: Asked) => optimize(asked))
