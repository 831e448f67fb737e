import type { Hono } from 'hono'
import * as v from 'valibot'
import { parse as parseYaml } from 'yaml'
import { createOperatorKey } from '../api-keys/service.ts'
import { createOrganization } from '../organizations/service.ts'
import type { Context } from '../platform/context.ts'
import { CommandError } from './failure.ts'

const Ask = v.strictObject({
  subject: v.string(),
  permission: v.string(),
  resource: v.optional(v.string()),
  workspace: v.optional(v.string()),
  context: v.optional(v.record(v.string(), v.unknown())),
  expect: v.picklist(['allow', 'deny']),
  because: v.optional(v.string()),
})

/** Given this policy, ask this, expect that: an import document and questions. */
const Scenario = v.strictObject({
  name: v.pipe(v.string(), v.nonEmpty()),
  given: v.looseObject({}),
  ask: v.pipe(v.array(Ask), v.minLength(1, 'must ask at least one question')),
})
export type Scenario = v.InferOutput<typeof Scenario> & { file: string }

export type ScenarioResult = {
  scenario: string
  question: string
  expected: 'allow' | 'deny'
  answered: string
  reason: string
  passed: boolean
}

const yamlOf = (file: string, text: string): unknown => {
  try {
    return parseYaml(text)
  } catch (error) {
    throw new CommandError(`${file} is not YAML: ${(error as Error).message.split('\n')[0]}`)
  }
}

/** @throws CommandError naming the file and the place */
export const readScenario = (file: string, text: string): Scenario => {
  const parsed = v.safeParse(Scenario, yamlOf(file, text))
  if (parsed.success) return { file, ...parsed.output }
  const [issue] = parsed.issues
  throw new CommandError(`${file}, ${v.getDotPath(issue) ?? 'the whole file'}: ${issue.message}`)
}

type App = Pick<Hono, 'request'>
type Answer = { status: number; body: Record<string, unknown> }

const caller =
  (app: App, key: string) =>
  async (path: string, body: unknown): Promise<Answer> => {
    const response = await app.request(path, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

let organizations = 0

/** Makes an organization of the scenario's own, imports what is given, and asks. Owned by `user:owner`. */
export const runScenario = async (
  app: App,
  context: Context,
  { name, file, given, ask }: Scenario,
): Promise<ScenarioResult[]> => {
  organizations += 1
  const organization = await createOrganization(context, {
    name,
    slug: `scenario-${organizations}`,
    description: '',
    owner: 'user:owner',
  })
  const { token } = await createOperatorKey(context, { name: 'scenarios', role: 'super_admin' })
  const call = caller(app, token)
  const imported = await call(`/v1/organizations/${organization.id}/import`, given)
  if (imported.status !== 200) {
    const [fault] = (imported.body.errors ?? []) as { pointer: string; detail: string }[]
    throw new CommandError(
      `${file}, given${fault?.pointer ?? ''}: ${fault?.detail ?? imported.body.detail}`,
    )
  }
  const results: ScenarioResult[] = []
  for (const { expect: expected, because: _because, ...question } of ask) {
    const { body } = await call('/check', { organization: organization.id, ...question })
    const answered = body.allowed === undefined ? 'no answer' : body.allowed ? 'allow' : 'deny'
    results.push({
      scenario: name,
      question: [question.subject, question.permission, question.resource ?? ''].join(' ').trim(),
      expected,
      answered,
      reason: String(body.reason ?? body.detail),
      passed: answered === expected,
    })
  }
  return results
}
