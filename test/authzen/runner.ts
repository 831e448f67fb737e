import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'

// Sends what the public vectors say and judges the answers. Their format: README.md beside the data.

/** What an answer must be; every member that is present counts. */
type Expect = {
  status: number[]
  decision?: boolean
  evaluations?: boolean[]
  /** The array as it is written, so that any member more is a difference. */
  evaluations_text?: string
  no_evaluations_key?: boolean
  results_include?: object[]
  results_exact?: object[]
  same_response_each_time?: 'decision' | 'body'
  echo_x_request_id?: boolean
  content_type?: string
  should_have_header?: string[]
  last_page_next_token?: string
}

/** One vector. */
export type Case = {
  id: string
  api?: string
  level?: string
  track?: string
  origin?: string
  method: string
  path: string
  content_type?: string
  body?: Body
  raw_body?: string
  credentials?: 'missing' | 'invalid'
  repeat?: number
  send_x_request_id?: boolean
  follow_pagination?: boolean | string
  expect: Expect
}
export type Body = Record<string, unknown>

/** An answer as it came over the wire; `body` is undefined where it was no JSON. */
export type Reply = { status: number; headers: Headers; text: string; body: unknown }

/** The vectors by the file they come from. */
export type Vectors = Record<'todo' | 'gateway' | 'certification' | 'supplement', Case[]>
export type Person = { sub: string; email: string; name: string; roles: string[] }
type Scenario = {
  evaluation: { request: Body; expected: boolean }[]
  evaluations?: { request: Body; expected: object[] }[]
}

/** Beside the repository, never in it. */
const DATA = fileURLToPath(new URL('../../../shared/data/authzen/', import.meta.url))
export const MISSING = `the public AuthZEN vectors are not in ${DATA}.`

/** One file of the data. */
export const readData = <Data>(file: string): Data =>
  JSON.parse(readFileSync(join(DATA, file), 'utf8')) as Data

/** Every vector, or nothing where the data is not there. */
export const readVectors = (): Vectors | undefined => {
  if (!existsSync(DATA)) return undefined
  const casesOf = (file: string) => readData<{ cases: Case[] }>(file).cases
  return {
    todo: casesOfScenario('todo', readData('todo/decisions-authorization-api-1_0-02.json')),
    gateway: casesOfScenario('gateway', readData('gateway/decisions.json')),
    certification: casesOf('cert/oidf-conformance-vectors.json'),
    supplement: casesOf('cert/scenario-supplement-vectors.json'),
  }
}

const casesOfScenario = (name: string, { evaluation, evaluations = [] }: Scenario): Case[] => [
  ...evaluation.map(({ request, expected }, index) => ({
    id: `${name}-${index + 1}`,
    method: 'POST',
    path: '/access/v1/evaluation',
    body: request,
    expect: { status: [200], decision: expected },
  })),
  ...evaluations.map(({ request, expected }, index) => ({
    id: `${name}-batch-${index + 1}`,
    method: 'POST',
    path: '/access/v1/evaluations',
    body: request,
    expect: { status: [200], evaluations_text: JSON.stringify(expected) },
  })),
]

/** Where a decision point is asked, and by whom. */
export type Door = { url: string; key: string }

const REQUEST_ID = 'vector-0c6f'
const MAX_PAGES = 100

/** Sends a vector as often as it says. */
export const send = async (door: Door, vector: Case): Promise<Reply[]> => {
  const replies: Reply[] = []
  for (let turn = 0; turn < (vector.repeat ?? 1); turn++) replies.push(await once(door, vector))
  while (vector.follow_pagination && replies.length < MAX_PAGES) {
    const token = pageOf(replies.at(-1))?.next_token
    if (!token) break
    const asked = typeof vector.follow_pagination === 'string' ? {} : (vector.body?.page as object)
    replies.push(
      await once(door, { ...vector, body: { ...vector.body, page: { ...asked, token } } }),
    )
  }
  return replies
}

const once = async ({ url, key }: Door, vector: Case): Promise<Reply> => {
  const { method, path, body, credentials } = vector
  const headers = new Headers({ 'content-type': vector.content_type ?? 'application/json' })
  if (credentials !== 'missing')
    headers.set('authorization', `Bearer ${credentials === 'invalid' ? 'wrong' : key}`)
  if (vector.send_x_request_id) headers.set('x-request-id', REQUEST_ID)
  const sent = vector.raw_body ?? JSON.stringify(body)
  const answer = await fetch(`${url}${path}`, {
    method,
    headers,
    ...(method === 'GET' ? {} : { body: sent }),
  })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, text, body: jsonOf(text) }
}

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

type Answered = {
  decision?: unknown
  context?: unknown
  evaluations?: { decision?: unknown; context?: unknown }[]
  results?: { type?: string }[]
  page?: { next_token?: unknown; count?: unknown; total?: unknown }
}
const answerOf = (reply: Reply | undefined) => (reply?.body ?? {}) as Answered
const pageOf = (reply: Reply | undefined) => answerOf(reply).page

/** What is wrong with these answers; empty for a vector that passed. */
export const judge = (vector: Case, replies: Reply[]): string[] => {
  const { expect } = vector
  const [first] = replies
  const answer = answerOf(first)
  const results = replies.flatMap((reply) => answerOf(reply).results ?? [])
  const includes = (element: object) => results.some((each) => isDeepStrictEqual(each, element))
  const decisions = answer.evaluations?.map(({ decision }) => decision)
  const sameBody = replies.every(({ body }) => isDeepStrictEqual(body, first?.body))
  const sameDecision = replies.every((reply) => answerOf(reply).decision === answer.decision)
  const faults: [fault: string, isThere: boolean][] = [
    ['status', !replies.every(({ status }) => expect.status.includes(status))],
    ['shape', !replies.every((reply) => reply.status !== 200 || isWellFormed(vector, reply))],
    ['no JSON', replies.some(({ body }) => typeof body !== 'object' || body === null)],
    ['decision', 'decision' in expect && answer.decision !== expect.decision],
    ['evaluations', 'evaluations' in expect && !isDeepStrictEqual(decisions, expect.evaluations)],
    ['evaluations as text', isOtherText(expect.evaluations_text, answer.evaluations)],
    ['evaluations are there', expect.no_evaluations_key === true && 'evaluations' in answer],
    ['not every result', !(expect.results_include ?? []).every(includes)],
    ['other results', isOtherSet(expect.results_exact, results)],
    ['another decision', expect.same_response_each_time === 'decision' && !sameDecision],
    ['another body', expect.same_response_each_time === 'body' && !sameBody],
    ['request id', expect.echo_x_request_id === true && !replies.every(isEchoed)],
    ['content type', !contentTypeOf(first).startsWith(expect.content_type ?? '')],
    ['header', !(expect.should_have_header ?? []).every((name) => first?.headers.has(name))],
    ['last page', isOther(expect.last_page_next_token, pageOf(replies.at(-1))?.next_token)],
  ]
  return faults.filter(([, isThere]) => isThere).map(([fault]) => fault)
}

const contentTypeOf = (reply: Reply | undefined) => reply?.headers.get('content-type') ?? ''
const isEchoed = ({ headers }: Reply) => headers.get('x-request-id') === REQUEST_ID
const isOther = (expected: unknown, found: unknown) => expected !== undefined && expected !== found
const isOtherText = (expected: string | undefined, found: unknown) =>
  expected !== undefined && expected !== JSON.stringify(found)
const isOtherSet = (expected: object[] | undefined, found: object[]) =>
  expected !== undefined &&
  !(
    found.length === expected.length &&
    expected.every((element) => found.some((each) => isDeepStrictEqual(each, element)))
  )

const isObject = (value: unknown) =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isDecision = ({ decision, context }: { decision?: unknown; context?: unknown }) =>
  typeof decision === 'boolean' && (context === undefined || isObject(context))
const isCount = (value: unknown) => value === undefined || (typeof value === 'number' && value >= 0)

/** What holds for every answer with status 200. */
const isWellFormed = ({ path, body }: Case, reply: Reply): boolean => {
  const answer = answerOf(reply)
  if (!contentTypeOf(reply).startsWith('application/json') || !isObject(reply.body)) return false
  if (!path.includes('/search/'))
    return answer.evaluations ? answer.evaluations.every(isDecision) : isDecision(answer)
  const kind = path.slice(path.lastIndexOf('/') + 1)
  const type = (body?.[kind] as { type?: string } | undefined)?.type
  const { page, results } = answer
  return (
    Array.isArray(results) &&
    (kind === 'action' || results.every((element) => element.type === type)) &&
    (page === undefined ||
      (typeof page.next_token === 'string' && isCount(page.count) && isCount(page.total)))
  )
}
