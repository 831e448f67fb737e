import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { skipped } from '../support/provided.ts'
import { type Listening, loadCertification, loadCitadel, startListening } from './fixtures.ts'
import {
  type Body,
  type Case,
  type Door,
  judge,
  MISSING,
  type Reply,
  readVectors,
  send,
} from './runner.ts'

// Whether the vectors would notice: small mistakes are put between the server and the judge, and at least one vector
// must catch each of them.

type Entity = { type?: string; id?: string; name?: string; properties?: unknown }
type Answer = { decision?: boolean; context?: object; evaluations?: Answer[] }
type Mistake = { asked?: (vector: Case) => Case; answered?: (reply: Reply, vector: Case) => Reply }

const vectors = readVectors()
const answerOf = ({ body }: Reply) => body as Answer
const replied = (reply: Reply, body: unknown, status = reply.status): Reply => ({
  ...reply,
  status,
  text: JSON.stringify(body),
  body,
})
const without = (reply: Reply, name: string): Reply => {
  const headers = new Headers(reply.headers)
  headers.delete(name)
  return { ...reply, headers }
}

/** A mistake in each answer with status 200. */
const inAnswers = (change: (answer: Answer, vector: Case) => unknown): Mistake => ({
  answered: (reply, vector) =>
    reply.status === 200 ? replied(reply, change(answerOf(reply), vector)) : reply,
})
/** A mistake in each decision, those in batches included. */
const inDecisions = (change: (answer: Answer) => unknown): Mistake =>
  inAnswers((answer) =>
    answer.evaluations
      ? { ...answer, evaluations: answer.evaluations.map(change) }
      : change(answer),
  )
/** A mistake in each question as it is understood, defaults and items alike. */
const inQuestions = (change: (question: Body) => Body): Mistake => ({
  asked: (vector) => {
    if (!vector.body) return vector
    const { evaluations } = vector.body
    const items = Array.isArray(evaluations) ? { evaluations: evaluations.map(change) } : {}
    return { ...vector, body: { ...change(vector.body), ...items } }
  },
})
const withoutProperties =
  (...names: string[]) =>
  (question: Body): Body =>
    Object.fromEntries(
      Object.entries(question).map(([name, value]) =>
        names.includes(name) && typeof value === 'object' && value !== null
          ? [name, { ...value, properties: undefined }]
          : [name, value],
      ),
    )

const isWhole = (entity: unknown) => {
  const { type, id, name } = (entity ?? { name: 'absent' }) as Entity
  return Boolean(name) || Boolean(type && id)
}
let times = 0

const MISTAKES: Record<string, Mistake> = {
  'allows everything': inDecisions((answer) => ({ ...answer, decision: true })),
  'denies everything': inDecisions((answer) => ({ ...answer, decision: false })),
  'lets an admin write anything': inAnswers((answer, { body }) => {
    const [subject, action] = [body?.subject as Entity, body?.action as Entity]
    return subject?.id === 'bob' && action?.name === 'write' ? { decision: true } : answer
  }),
  'ignores the properties of the request': inQuestions(withoutProperties('subject', 'resource')),
  'ignores the properties of the action': inQuestions(withoutProperties('action')),
  'ignores the action': inQuestions((question) =>
    question.action ? { ...question, action: { name: 'read' } } : question,
  ),
  'answers 403 for a denial': {
    answered: (reply) => (answerOf(reply).decision === false ? { ...reply, status: 403 } : reply),
  },
  'denies what it cannot read, instead of refusing it': {
    answered: (reply) => (reply.status === 400 ? replied(reply, { decision: false }, 200) : reply),
  },
  'writes decisions as words': inDecisions((answer) => ({
    ...answer,
    decision: String(answer.decision),
  })),
  'says why in every decision': inDecisions((answer) => ({ ...answer, context: { reason: 'x' } })),
  'says when': inAnswers((answer) => ({ ...answer, at: times++ })),
  'puts a single answer into a batch': inAnswers((answer, { path }) =>
    path.endsWith('evaluations') && !answer.evaluations ? { evaluations: [answer] } : answer,
  ),
  'answers no evaluations with none': inAnswers((answer, { body }) =>
    (body?.evaluations as unknown[] | undefined)?.length === 0 ? { evaluations: [] } : answer,
  ),
  'goes on after the decision that ends a batch': inAnswers((answer, { body }) => {
    if (!answer.evaluations) return answer
    const all = body?.evaluations as unknown[]
    return {
      evaluations: all.map((_, index) => answer.evaluations?.[index] ?? { decision: false }),
    }
  }),
  'answers in reverse': inAnswers((answer) =>
    answer.evaluations ? { evaluations: answer.evaluations.toReversed() } : answer,
  ),
  'ignores the options': inQuestions((question) => ({ ...question, options: undefined })),
  'fails a batch for one of its items': {
    answered: (reply) =>
      answerOf(reply).evaluations?.some(({ context }) => context) ? replied(reply, {}, 400) : reply,
  },
  'reads defaults that nobody uses': {
    answered: (reply, { body }) =>
      [body?.subject, body?.action, body?.resource].every(isWhole)
        ? reply
        : replied(reply, {}, 400),
  },
  'forgets the request id': { answered: (reply) => without(reply, 'x-request-id') },
  'forgets how to authenticate': { answered: (reply) => without(reply, 'www-authenticate') },
  'forgets the content type': { answered: (reply) => without(reply, 'content-type') },
  'answers in plain text': { answered: (reply) => ({ ...reply, text: 'no', body: undefined }) },
}

const runMistakes = () => {
  let server: Listening
  const passing: { vector: Case; door: Door; replies: Reply[] }[] = []
  beforeAll(async () => {
    server = await startListening()
    const [citadel, certification] = [await loadCitadel(server), await loadCertification(server)]
    const ask = async (cases: Case[], door: Door) => {
      for (const vector of cases.filter(({ path }) => /\/evaluations?$/.test(path))) {
        const replies = await send(door, vector)
        if (judge(vector, replies).length === 0) passing.push({ vector, door, replies })
      }
    }
    await ask([...vectors!.todo, ...vectors!.gateway], citadel.byKey)
    await ask([...vectors!.certification, ...vectors!.supplement], certification.byKey)
  })
  afterAll(() => server.drop())

  test.each(Object.entries(MISTAKES))('a server that %s', async (_, { asked, answered }) => {
    const caught: string[] = []
    for (const { vector, door, replies } of passing) {
      const mistaken = asked ? await send(door, asked(vector)) : replies
      const seen = mistaken.map((reply) => answered?.(reply, vector) ?? reply)
      if (judge(vector, seen).length > 0) caught.push(vector.id)
    }
    expect(caught).not.toEqual([])
  })
}

if (vectors) describe('the public vectors catch', runMistakes)
else
  test('the public vectors', (context) => {
    context.skip(skipped(MISSING).skip)
  })
