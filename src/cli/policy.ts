import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { styleText } from 'node:util'
import { SingleBar } from 'cli-progress'
import { Command } from 'commander'
import { lintPolicy } from '../engine/lint.ts'
import { assemble, readPacks } from '../node.ts'
import { readConfig } from '../platform/config.ts'
import { connect } from '../platform/db/connect.ts'
import { startEmbedded } from '../platform/db/embedded.ts'
import { silentLog } from '../platform/log.ts'
import { listShipped } from '../platform/node/files.ts'
import { CommandError, readNamed } from './failure.ts'
import { readScenario, runScenario, type ScenarioResult } from './scenarios.ts'
import { table } from './table.ts'

const SHIPPED = 'policies/scenarios'

const named = async (files: readonly string[], folder: string, ending: RegExp) => {
  if (files.length > 0) return [...files]
  const names = await readdir(folder).catch(() => [])
  return names
    .filter((name) => ending.test(name))
    .sort()
    .map((name) => join(folder, name))
}

const lint = async (files: readonly string[]) => {
  const builtInRoles = (await readPacks()).flatMap(({ roles }) =>
    roles.map(({ scope, name }) => `role:${scope}.${name}`),
  )
  let errors = 0
  for (const file of await named(files, 'policies', /\.csv$/)) {
    const isPack = files.length === 0
    const problems = lintPolicy(await readNamed(file), isPack ? {} : { builtInRoles })
    errors += problems.filter(({ severity }) => severity === 'error').length
    const color = (severity: string) => styleText(severity === 'error' ? 'red' : 'yellow', severity)
    const rows = problems.map(({ line, severity, detail }) => [
      `${file}:${line}`,
      color(severity),
      detail,
    ])
    process.stdout.write(
      rows.length > 0
        ? table(['where', '', 'what'], rows)
        : `${styleText('green', 'fine')}  ${file}\n`,
    )
  }
  if (errors > 0) throw new CommandError(`${errors} ${errors === 1 ? 'error' : 'errors'}`)
}

/** Runs scenarios on a server of their own, in memory. */
const runAll = async (files: readonly string[]): Promise<ScenarioResult[]> => {
  const scenarios = await Promise.all(
    files.map(async (file) => readScenario(file, await readNamed(file))),
  )
  const bar = new SingleBar({
    format: `${styleText('cyan', '{bar}')} {value}/{total} {name}`,
    stream: process.stderr,
  })
  bar.start(scenarios.length, 0, { name: 'starting' })
  const embedded = await startEmbedded({ dataDir: null })
  const sql = connect(embedded.target)
  try {
    const config = readConfig({ LOG_LEVEL: 'silent', AUDIT_MAC_KEY: '00'.repeat(32) })
    const database = { sql, kind: 'embedded' as const, close: async () => {} }
    const { app, context } = await assemble(config, database, silentLog)
    const results: ScenarioResult[] = []
    for (const scenario of scenarios) {
      results.push(...(await runScenario(app, context, scenario)))
      bar.increment({ name: scenario.name })
    }
    return results
  } finally {
    bar.stop()
    await sql.end()
    await embedded.stop()
  }
}

const testScenarios = async (files: readonly string[]) => {
  const found = await named(files, SHIPPED, /\.ya?ml$/)
  const all =
    found.length > 0 ? found : (await listShipped(SHIPPED)).map((name) => join(SHIPPED, name))
  const results = await runAll(all)
  const failed = results.filter(({ passed }) => !passed)
  for (const { scenario, question, expected, answered, reason } of failed)
    process.stdout.write(
      `${styleText('red', 'fails')}  ${scenario}: ${question} should be ${expected}, and is ${answered} (${reason})\n`,
    )
  process.stdout.write(
    `${results.length - failed.length} questions answered as expected, ${failed.length} not\n`,
  )
  if (failed.length > 0) throw new CommandError('the policy does not do what its scenarios say')
}

/** `latchkey policy`: what can be said of a policy without a running server. */
export const policyCommand = () =>
  new Command('policy')
    .description('Test and check policies, without a running server')
    .addCommand(
      new Command('test')
        .description(`Run scenarios (given, ask, expect); ${SHIPPED} without a name`)
        .argument('[files...]')
        .action(testScenarios),
    )
    .addCommand(
      new Command('lint')
        .description('Find mistakes in Casbin CSV; policies/*.csv without a name')
        .argument('[files...]')
        .action(lint),
    )
