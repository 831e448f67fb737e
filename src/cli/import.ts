import { styleText } from 'node:util'
import { SingleBar } from 'cli-progress'
import { Command } from 'commander'
import { readCasbinTable } from '../engine/casbin-table.ts'
import { readCasbinCsv } from '../engine/csv.ts'
import { connect } from '../platform/db/connect.ts'
import { type CasbinDocument, documentOfCasbin } from './casbin-document.ts'
import { CommandError, readNamed } from './failure.ts'
import { ask, type Remote, remoteOptions } from './remote.ts'
import { table } from './table.ts'

type Asked = Remote & {
  organization: string
  dryRun?: boolean
  casbinTable?: string
  register?: boolean
}

type Counts = Record<string, number>
type Report = { created: Counts; updated: Counts; unchanged: Counts }

const CHUNK_BYTES = 64 * 1024

const failWith = (problems: readonly { where: string; detail: string }[]): never => {
  throw new CommandError(
    [
      'nothing was imported:',
      ...problems.slice(0, 20).map(({ where, detail }) => `  ${where}: ${detail}`),
    ].join('\n'),
  )
}

/** A document out of Casbin's lines; every line that means nothing here is named and stops the import. */
const translated = (
  rows: Parameters<typeof documentOfCasbin>[0],
  found: { line: unknown; detail: string }[],
) => {
  const { document, problems } = documentOfCasbin(rows)
  const all = [...found, ...problems].map(({ line, detail }) => ({ where: `line ${line}`, detail }))
  if (all.length > 0) failWith(all)
  return document
}

const fromCsv = (text: string): CasbinDocument => {
  const { lines, problems } = readCasbinCsv(text)
  return translated(lines, [...problems])
}

/** The rows of a table that casbin-pg-adapter wrote. */
const fromTable = async (url: string): Promise<CasbinDocument> => {
  const sql = connect({ url }, { connectionsMax: 1 })
  try {
    const rows = await sql<
      { id: number; ptype: string; rule: unknown }[]
    >`select id, ptype, rule from casbin order by id`
    const { lines, problems } = readCasbinTable(rows)
    return translated(
      lines,
      problems.map(({ id, detail }) => ({ line: id, detail })),
    )
  } finally {
    await sql.end()
  }
}

type Upload = { text: string; contentType: string; document?: CasbinDocument }

const uploadOf = async (file: string | undefined, asked: Asked): Promise<Upload> => {
  if (asked.casbinTable !== undefined) return jsonOf(await fromTable(asked.casbinTable))
  if (file === undefined) throw new CommandError('name a file, or a database with --casbin-table')
  const text = await readNamed(file)
  if (file.endsWith('.csv')) return jsonOf(fromCsv(text))
  return {
    text,
    contentType: /\.(ndjson|jsonl)$/.test(file) ? 'application/x-ndjson' : 'application/json',
  }
}

const jsonOf = (document: CasbinDocument): Upload => {
  const { permissions: _permissions, ...body } = document
  return { text: JSON.stringify(body), contentType: 'application/json', document }
}

/** Sends a text in pieces, so that a bar can show how far it is. */
const withProgress = (text: string, bar: SingleBar): ReadableStream<Uint8Array> => {
  const bytes = new TextEncoder().encode(text)
  let sent = 0
  return new ReadableStream({
    pull: (controller) => {
      controller.enqueue(bytes.subarray(sent, sent + CHUNK_BYTES))
      sent = Math.min(sent + CHUNK_BYTES, bytes.length)
      bar.update(sent)
      if (sent >= bytes.length) controller.close()
    },
  })
}

/** Registers the permissions a Casbin policy names, so that roles and grants can name them. */
const register = async (asked: Asked, { permissions }: CasbinDocument) => {
  for (const key of permissions)
    await ask(asked, 'POST', '/v1/permissions', JSON.stringify({ key, scope: 'workspace' })).catch(
      (error: Error) => {
        if (!/registered already/.test(error.message)) throw error
      },
    )
}

const reportOf = ({ created, updated, unchanged }: Report) =>
  table(
    ['', 'created', 'updated', 'unchanged'],
    Object.keys({ ...created, ...updated, ...unchanged }).map((kind) => [
      kind,
      ...[created, updated, unchanged].map((counts) => String(counts[kind] ?? 0)),
    ]),
  )

const send = async (file: string | undefined, asked: Asked) => {
  const { text, contentType, document } = await uploadOf(file, asked)
  if (asked.register && document) await register(asked, document)
  const bar = new SingleBar({
    format: `${styleText('cyan', '{bar}')} {percentage}% sent, then the server decides · {duration_formatted}`,
    hideCursor: true,
    noTTYOutput: false,
    stream: process.stderr,
  })
  bar.start(new TextEncoder().encode(text).length, 0)
  const path = `/v1/organizations/${encodeURIComponent(asked.organization)}/import${asked.dryRun ? '?dryRun=true' : ''}`
  try {
    const report = await ask<Report>(asked, 'POST', path, withProgress(text, bar), contentType)
    bar.stop()
    process.stdout.write(
      `${asked.dryRun ? 'nothing was changed; it would be:\n' : ''}${reportOf(report)}`,
    )
  } finally {
    bar.stop()
  }
}

/** `latchkey import`: a document, NDJSON, Casbin CSV, or a table of casbin-pg-adapter. */
export const importCommand = () => {
  const command = new Command('import')
    .description(
      'Import a document (.json), NDJSON (.ndjson) or a Casbin policy (.csv) into an organization',
    )
    .argument('[file]')
    .requiredOption('-o, --organization <id or slug>', 'into which')
    .option('--dry-run', 'tell what would change, and change nothing')
    .option('--casbin-table <database url>', 'read the table `casbin` that casbin-pg-adapter wrote')
    .option('--register', 'register the permissions of a Casbin policy first')
    .action((file: string | undefined, asked: Asked) => send(file, asked))
  for (const option of remoteOptions()) command.addOption(option)
  return command
}
