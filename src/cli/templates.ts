import { globSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { SingleBar } from 'cli-progress'
import { Command } from 'commander'
import { CommandError } from './failure.ts'
import { handInPacks } from './packs.ts'
import { ask, Refused, type Remote, remoteOptions } from './remote.ts'
import { table } from './table.ts'
import { readWorkflow } from './workflow-files.ts'

type Asked = Remote & {
  organization: string
  license: string
  category: string
  report?: string
}

/** What became of one file. */
type Outcome = {
  file: string
  outcome: 'imported' | 'known' | 'refused'
  code?: string
  detail?: string
  template?: string
  /** Inputs that stand where secrets and connections stood. */
  secrets?: number
  connections?: number
}

/** Files that are handed in at a time. */
const AT_ONCE = 4
/** The server's word for a slug that is there already: the file was imported before. */
const KNOWN = 'template-exists'

type Made = { id: string }
type Version = { inputs: { type: string }[] }

const importFile = async (directory: string, file: string, asked: Asked): Promise<Outcome> => {
  const workflow = await readWorkflow(join(directory, file), file)
  if ('code' in workflow) return { file, outcome: 'refused', ...workflow }
  const path = `/v1/organizations/${encodeURIComponent(asked.organization)}/templates`
  const { license, category } = asked
  try {
    const body = JSON.stringify({ ...workflow, license, category })
    const { id } = await ask<Made>(asked, 'POST', path, body)
    const { inputs } = await ask<Version>(asked, 'GET', `${path}/${id}/versions/0.1.0`)
    const count = (type: string) => inputs.filter((input) => input.type === type).length
    const found = { secrets: count('secret'), connections: count('connection') }
    return { file, outcome: 'imported', template: id, ...found }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    if (error.code === KNOWN) return { file, outcome: 'known' }
    return { file, outcome: 'refused', code: error.code, detail: error.message }
  }
}

/** Files one after the other, some at a time, in the order in which they are found. */
const importAll = async (directory: string, files: readonly string[], asked: Asked) => {
  const bar = new SingleBar({
    format: `${styleText('cyan', '{bar}')} {value}/{total} files · {refused} refused · {duration_formatted}`,
    hideCursor: true,
    noTTYOutput: false,
    stream: process.stderr,
  })
  const outcomes: Outcome[] = []
  let [next, refused] = [0, 0]
  bar.start(files.length, 0, { refused })
  const work = async () => {
    while (next < files.length) {
      const outcome = await importFile(directory, files[next++]!, asked)
      outcomes.push(outcome)
      if (outcome.outcome === 'refused') refused++
      bar.update(outcomes.length, { refused })
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work))
  } finally {
    bar.stop()
  }
  return outcomes.sort((one, other) => (one.file < other.file ? -1 : 1))
}

const sum = (outcomes: readonly Outcome[], member: 'secrets' | 'connections') =>
  outcomes.reduce((total, outcome) => total + (outcome[member] ?? 0), 0)

const tableOf = (outcomes: readonly Outcome[]): string => {
  const byKind = Map.groupBy(outcomes, ({ outcome, code }) => code ?? outcome)
  const rows = [...byKind].map(([kind, some]) => [
    kind,
    String(some.length),
    kind === 'imported' ? `${sum(some, 'secrets')} secrets became inputs` : (some[0]!.file ?? ''),
  ])
  return table(['outcome', 'files', ''], rows)
}

const importDirectory = async (directory: string, asked: Asked) => {
  const files = globSync('**/*.json', { cwd: directory }).sort()
  if (files.length === 0) throw new CommandError(`there is no .json file under ${directory}`)
  const outcomes = await importAll(directory, files, asked)
  process.stdout.write(tableOf(outcomes))
  if (asked.report === undefined) return
  await writeFile(asked.report, `${JSON.stringify(outcomes, undefined, 2)}\n`).catch(() => {
    throw new CommandError(`${asked.report} cannot be written`)
  })
}

/** `latchkey templates`: workflow files as templates. */
export const templatesCommand = () => {
  const into = new Command('import')
    .description('Import every n8n workflow file (.json) under a directory as a private template')
    .argument('<directory>')
    .requiredOption('-o, --organization <id or slug>', 'into which')
    .option('--license <SPDX id>', 'the license of the files', 'MIT')
    .option('--category <slug>', 'where they stand in the catalog', 'other')
    .option('--report <file>', 'write what became of each file, as JSON')
    .action((directory: string, asked: Asked) => importDirectory(directory, asked))
  const packs = new Command('packs')
    .description('Hand in the built-in role packs as templates, for a moderator to approve')
    .requiredOption('-o, --organization <id or slug>', 'who publishes them')
    .action((asked: Remote & { organization: string }) => handInPacks(asked))
  const command = new Command('templates').description('Templates of an organization')
  for (const each of [into, packs]) {
    for (const option of remoteOptions()) each.addOption(option)
    command.addCommand(each)
  }
  return command
}
