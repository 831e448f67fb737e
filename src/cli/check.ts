import { styleText } from 'node:util'
import { Command } from 'commander'
import { CommandError } from './failure.ts'
import { ask, type Remote, remoteOptions } from './remote.ts'

type Asked = Remote & {
  organization: string
  workspace?: string
  subject: string
  permission: string
  resource?: string
  context?: string
  json?: boolean
}

type Answer = {
  allowed: boolean
  reason: string
  code: string
  revision: string
  trace?: {
    line: string[] | null
    chain: string[]
    conditions: { condition: string; holds: boolean | null }[]
    nearestMisses: string[]
  }
}

/** The exit code of a deny, so that a script can tell it from a failure (1). */
const DENIED = 2

const asking = (name: string) => {
  const command = new Command(name)
    .requiredOption('-o, --organization <id or slug>', 'where')
    .option('-w, --workspace <id or slug>', 'the workspace, if the resource is not registered')
    .requiredOption('-s, --subject <type:id>', 'who, as user:alice')
    .requiredOption('-p, --permission <type:action>', 'what, as scenario:execute')
    .option('-r, --resource <type:id>', 'on what; without it, on every resource of the type')
    .option('-c, --context <json>', 'what conditions read as context')
    .option('--json', 'print the answer as it came')
  for (const option of remoteOptions()) command.addOption(option)
  return command
}

const question = ({ organization, workspace, subject, permission, resource, context }: Asked) => ({
  organization,
  workspace,
  subject,
  permission,
  resource,
  ...(context === undefined ? {} : { context: contextOf(context) }),
})

const contextOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new CommandError('--context is not JSON')
  }
}

const verdict = ({ allowed, reason, code }: Answer) =>
  `${allowed ? styleText('green', 'allow') : styleText('red', 'deny')}  ${reason} (${code})`

const section = (title: string, lines: readonly string[]) =>
  lines.length === 0 ? [] : ['', styleText('bold', title), ...lines.map((line) => `  ${line}`)]

const explanation = ({ trace }: Answer): string[] => {
  if (!trace) return []
  const { line, chain, conditions, nearestMisses } = trace
  const words = { true: 'holds', false: 'does not hold', null: 'fails' }
  return [
    ...section('the line that decided', line ? [line.join(', ')] : []),
    ...section('how the subject comes to it', chain),
    ...section(
      'conditions',
      conditions.map(({ condition, holds }) => `${condition}  ${words[`${holds}`]}`),
    ),
    ...section('what would turn it', nearestMisses),
  ]
}

const decide = async (asked: Asked, explain: boolean) => {
  const body = JSON.stringify({ ...question(asked), ...(explain ? { explain } : {}) })
  const answer = await ask<Answer>(asked, 'POST', '/check', body)
  const text = asked.json
    ? JSON.stringify(answer)
    : [verdict(answer), ...explanation(answer)].join('\n')
  process.stdout.write(`${text}\n`)
  if (!answer.allowed) process.exitCode = DENIED
}

/** `latchkey check`: one question; exit code 0 for an allow, 2 for a deny. */
export const checkCommand = () =>
  asking('check')
    .description('Ask one question; exits with 0 for an allow and 2 for a deny')
    .action((asked: Asked) => decide(asked, false))

/** `latchkey explain`: the same, and why. */
export const explainCommand = () =>
  asking('explain')
    .description('Ask one question, and why it is answered so')
    .action((asked: Asked) => decide(asked, true))
