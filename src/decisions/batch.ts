import type { Context } from '../platform/context.ts'
import { parse } from '../platform/parse.ts'
import { Problem } from '../platform/problem.ts'
import { refuseRepeated } from './defaults.ts'
import { isPlainBatchCheck } from './plain-question.ts'
import { BatchCheck, type BatchRequest } from './schema.ts'
import {
  type Answer,
  answerTo,
  type OrganizationState,
  openTo,
  type Policies,
  wantedBy,
} from './service.ts'

type ItemError = { error: { status: number; code: string; detail: string; errors?: unknown } }

/** Up to 1,000 questions, answered in their order. One bad question is an error in its place, not of the whole. */
export const checkBatch = async (
  policies: Policies,
  context: Context,
  { defaults, checks, consistency = 'minimize_latency' }: BatchRequest,
) => {
  refuseRepeated(defaults ?? {}, checks.length)
  const nowMs = context.now().getTime()
  const opened = {
    checked: new Map<string, OrganizationState>(),
    explained: new Map<string, OrganizationState>(),
  }
  const read = checks.map((each) => reading(() => readCheck(merged(defaults, each))))
  // Of one organization everything that the batch asks about is wanted at once.
  const wantedIn = (organization: string) => () =>
    wantedBy(
      context,
      read.flatMap(({ input }) => (input?.organization === organization ? input : [])),
    )
  const results: (Answer | ItemError)[] = []
  let revision: string | null = null
  for (const { input, error } of read) {
    try {
      if (!input) throw error
      const states = input.explain ? opened.explained : opened.checked
      let state = states.get(input.organization)
      if (!state) {
        const { organization, explain } = input
        const wanted = wantedIn(organization)
        state = await openTo(policies, context, { organization, explain, consistency, wanted })
        states.set(organization, state)
        revision ??= state.token
      }
      results.push(answerTo(policies, state, input, nowMs))
    } catch (error) {
      results.push(itemError(error))
    }
  }
  return { results, revision }
}

type Read = { input: BatchCheck; error?: undefined } | { input?: undefined; error: unknown }

/** A fault is told in the place of its question, after what comes before it. */
const reading = (read: () => BatchCheck): Read => {
  try {
    return { input: read() }
  } catch (error) {
    return { error }
  }
}

const readCheck = (check: unknown): BatchCheck =>
  isPlainBatchCheck(check) ? check : parse(BatchCheck, check)

const merged = (defaults: Record<string, unknown> | undefined, check: unknown): unknown =>
  defaults && typeof check === 'object' && check !== null && !Array.isArray(check)
    ? { ...defaults, ...check }
    : check

const ITEM_STATUS: { [kind: string]: number } = {
  invalid: 400,
  forbidden: 403,
  'not-found': 404,
  unprocessable: 422,
}

/** What cannot be decided for lack of a database fails the whole batch, with 503. */
const itemError = (error: unknown): ItemError => {
  const status = error instanceof Problem ? ITEM_STATUS[error.kind] : undefined
  if (!(error instanceof Problem) || status === undefined) throw error
  const { code, detail, extras } = error
  return { error: { status, code, detail, ...(extras.errors ? { errors: extras.errors } : {}) } }
}
