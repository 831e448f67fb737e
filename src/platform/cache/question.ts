import type { Sql } from '../db/connect.ts'
import type { GenerationName, Generations } from './generations.ts'
import { localKey, type ReadAt, requireWord } from './key.ts'
import type { NamespaceName, NamespaceRules } from './namespaces.ts'
import type { Revisions } from './revisions.ts'

/** What is asked of a namespace. */
export type Question = {
  /** Generations are read over it, at most once a second. On Workers: the request's own. */
  readonly sql: Sql
  /** Whose it is; `platform` where it is nobody's. */
  readonly organizationId: string
  /** What the caller knows to be current. Does not matter where the namespace is bound to generations only. */
  readonly revision: number
  /** Given where the value depends on the platform's policy, too: then always. */
  readonly platformRevision?: number
  /** Any text of at most 4096 characters that has every other input of the answer in it. */
  readonly key: string
  /** At most 4, always the same for one key. */
  readonly tags?: readonly string[]
  /**
   * `minimize_latency` (default) answers at the revision that is known here; `atLeast` goes to the source where that is
   * older; `full` always does.
   */
  readonly consistency?: 'minimize_latency' | 'full' | AtLeast
  /** Whether a value that was kept still counts; false reads it anew. For entries that name what they depend on. */
  readonly isCurrent?: (value: unknown) => boolean
  /** On Workers: keeps what is done behind the answer alive. */
  readonly waitUntil?: (promise: Promise<unknown>) => void
}

export type AtLeast = { readonly atLeast: number; readonly atLeastPlatform?: number }

/** A question with its key worked out, as of one moment. */
export type Asked = {
  readonly question: Question
  readonly at: ReadAt
  readonly names: readonly GenerationName[]
  readonly generation: string
  readonly text: string
  readonly key: string
}

export const TAGS_MAX = 4
const NOWHERE: ReadAt = { revision: 0, platformRevision: 0 }

/** Keys with tags are another kind of key: no text of a caller can look like one. */
const textOf = ({ key, tags = [] }: Question) =>
  tags.length === 0 ? `k${key}` : `t${JSON.stringify([key, ...tags])}`

/** The least revision an answer may be of: what the caller knows, or this node if it has seen more. */
const leastOf = (question: Question, rules: NamespaceRules, revisions: Revisions): ReadAt => {
  if (rules.boundTo === 'generation') return NOWHERE
  const { organizationId, revision, platformRevision } = question
  return {
    revision: revisions.saw(organizationId, revision),
    platformRevision:
      platformRevision === undefined ? 0 : revisions.saw('platform', platformRevision),
  }
}

/** Works out keys of one namespace. */
export const createAsking = (options: {
  name: NamespaceName
  rules: NamespaceRules
  generations: Generations
  revisions: Revisions
}) => {
  const { name, rules, generations, revisions } = options
  const own: GenerationName = `namespace:${name}`

  /** @throws RangeError where a part of the question cannot be one of a key */
  const ask = (question: Question): Asked => {
    const { organizationId, tags } = question
    requireWord('organization', organizationId)
    const names: GenerationName[] = [own, `organization:${organizationId}`]
    if (tags) {
      if (tags.length > TAGS_MAX) throw new RangeError(`an entry has at most ${TAGS_MAX} tags`)
      for (const tag of tags) names.push(`tag:${tag}`)
    }
    let generation = `${generations.of(own)}`
    for (let at = 1; at < names.length; at++) generation += `-${generations.of(names[at]!)}`
    const [at, text] = [leastOf(question, rules, revisions), textOf(question)]
    return {
      ...{ question, at, names, generation, text },
      key: localKey(at, organizationId, generation, text),
    }
  }
  return ask
}

/** Whether what is kept is too old for the caller, whatever it is. */
export const mustAskSource = ({ question: { consistency }, at }: Asked, rules: NamespaceRules) => {
  if (consistency === undefined || consistency === 'minimize_latency') return false
  if (consistency === 'full') return true
  return (
    rules.boundTo === 'revision' &&
    (consistency.atLeast > at.revision || (consistency.atLeastPlatform ?? 0) > at.platformRevision)
  )
}
