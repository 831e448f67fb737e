import * as v from 'valibot'
import { type Fault, Problem } from './problem.ts'

const FAULTS_MAX = 20

/** RFC 6901. */
const pointerOf = (issue: v.BaseIssue<unknown>): string =>
  (issue.path ?? [])
    .map(({ key }) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('')

/** What was expected, without the received value: it may be a secret. */
const sentenceOf = (issue: v.BaseIssue<unknown>): string => {
  if (issue.type === 'strict_object' && issue.expected === 'never') return 'is not a known member'
  if (issue.received === 'undefined') return 'is required'
  if (!issue.message.startsWith('Invalid ')) return issue.message
  return issue.expected ? `must be ${issue.expected}` : 'is not valid'
}

/** The places where an input breaks its schema, at most 20. */
export const faultsOf = (issues: readonly v.BaseIssue<unknown>[]): Fault[] =>
  issues
    .slice(0, FAULTS_MAX)
    .map((issue) => ({ pointer: pointerOf(issue), detail: sentenceOf(issue) }))

/** Parses an input or throws a 400 that names each place. */
export const parse = <Schema extends v.GenericSchema>(
  schema: Schema,
  input: unknown,
): v.InferOutput<Schema> => {
  const result = v.safeParse(schema, input, { abortPipeEarly: true })
  if (result.success) return result.output
  const errors = faultsOf(result.issues)
  const [first] = errors
  throw new Problem(
    'invalid',
    'invalid-request',
    first ? `${first.pointer || 'The body'} ${first.detail}.` : 'The request is not valid.',
    { errors },
  )
}
