import { readFileSync } from 'node:fs'
import { environmentOf } from '../src/engine/condition.ts'
import { createEngine } from '../src/engine/engine.ts'
import type { Line } from '../src/engine/line.ts'
import type { OpenDatabase } from '../src/node.ts'
import { createLoader, installCatalog } from './load.ts'
import {
  type Asked,
  createId,
  drawQuestion,
  NOW,
  type Organization,
  type Random,
  remake,
  templateLines,
} from './mix.ts'
import { addOrganization } from './rows.ts'

/** A question over HTTP with its known answer. */
export type KnownQuestion = {
  readonly question: Asked
  readonly body: string
  readonly allowed: boolean
  /** The subject's own lines: what a caller of a server that keeps no grants must send. */
  readonly lines: readonly Line[]
}

/** Questions asked at once, of one organization, with their known answers. */
export type Batch = { readonly body: string; readonly allowed: readonly boolean[] }

const modelText = readFileSync(new URL('../model.conf', import.meta.url), 'utf8')
const PLAIN = { conditional: false, expiring: false }

const environmentFor =
  ({ subject, type, id, action }: Asked) =>
  () =>
    environmentOf({
      subject: { type: 'user', id: subject.slice('user:'.length) },
      resource: { type, ...(id === null ? {} : { id }) },
      action: { name: action },
      now: new Date(NOW),
    })

const wordsOf = ({ organizationId, workspaceId, subject, type, id, action }: Asked) => ({
  organization: organizationId,
  workspace: workspaceId,
  subject,
  permission: `${type}:${action}`,
  resource: `${type}:${id}`,
})

/** Checks a batch holds. */
const BATCH = 100

/** May one subject read these 100 resources: what a list page asks. */
const listQuestions = (random: Random, organization: Organization): Asked[] => {
  const first = { ...drawQuestion(random, organization), action: 'read' }
  const known = organization.resources.filter(({ type }) => type === first.type)
  return Array.from({ length: BATCH }, (_, at) => ({
    ...first,
    id: known[at]?.id ?? createId(random, ''),
  }))
}

const listBody = (questions: readonly Asked[]) => {
  const { resource: _resource, ...defaults } = wordsOf(questions[0]!)
  return JSON.stringify({
    defaults,
    checks: questions.map((question) => ({ resource: wordsOf(question).resource })),
  })
}

export type DatasetOptions = {
  readonly sizes: readonly number[]
  /** Numbers the organizations from here, so that two sets in one database have nothing in common. */
  readonly from?: number
  readonly questions: number
  /** Batches of either form, spread over all organizations, too. */
  readonly batches?: number
  /** The lines of the built-in roles by which answers are known; those of the mix unless said. */
  readonly template?: readonly Line[]
  readonly onProgress?: (done: number) => void
}

/** What was loaded, and what to ask about it. */
export type Dataset = Awaited<ReturnType<typeof loadDataset>>

/**
 * Loads organizations of these sizes and draws questions spread over all of them. What they answer is known from the lines
 * themselves: decided by the index and by Casbin, which must agree.
 */
export const loadDataset = async (
  { sql, kind }: Pick<OpenDatabase, 'sql' | 'kind'>,
  { sizes, from = 0, questions: wanted, batches = 0, template, onProgress }: DatasetOptions,
) => {
  const differences: unknown[] = []
  const onDifference = (difference: unknown) => differences.push(difference)
  const engine = createEngine({ modelText, verify: 'all', onDifference })
  const platform = engine.compilePlatform(template ?? templateLines())
  await installCatalog(sql)
  const loader = await createLoader(sql, kind === 'server')
  const questions: KnownQuestion[] = []
  /** One subject, one permission, 100 resources; and 100 questions spelled out in full. */
  const lists: Batch[] = []
  const mixed: Batch[] = []
  let grants = from * 1_000_000
  const first = grants
  for (const [at, size] of sizes.entries()) {
    const { random, lines: make, ...organization } = remake(from + at, size, PLAIN)
    const lines = [...make()]
    const stored = { ...organization, slug: `o${from + at}`, lines }
    await loader.add((rows) => addOrganization(rows, stored, () => grants++))
    const policy = await engine.compileOrganization(platform, organization.organizationId, lines)
    const asked = { ...organization, lines: make }
    const answerTo = (question: Asked) =>
      engine.decide(policy, { ...question, nowMs: NOW, environment: environmentFor(question) })
        .allowed
    const due = (count: number) => Math.floor(((at + 1) * count) / sizes.length)
    while (questions.length < due(wanted)) {
      const question = drawQuestion(random, asked)
      const body = JSON.stringify(wordsOf(question))
      const own = lines.filter(({ subject }) => subject === question.subject)
      questions.push({ question, body, allowed: answerTo(question), lines: own })
    }
    while (lists.length < due(batches)) {
      const list = listQuestions(random, asked)
      lists.push({ body: listBody(list), allowed: list.map(answerTo) })
      const full = Array.from({ length: BATCH }, () => drawQuestion(random, asked))
      const body = JSON.stringify({ checks: full.map(wordsOf) })
      mixed.push({ body, allowed: full.map(answerTo) })
    }
    onProgress?.(at + 1)
  }
  await loader.finish()
  if (differences.length > 0)
    throw new Error(`the index and Casbin differ on ${differences.length} questions`)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  return {
    questions,
    lists,
    mixed,
    grants: total,
    stored: grants - first,
    organizations: sizes.length,
  }
}
