import { checkCondition } from './condition.ts'

/** A line of a Casbin file or table whose fields fit the model of `model.conf`. */
export type CasbinRow = {
  /** The line of the file, counted from 1, or the row's id in a table. */
  readonly line: number
  readonly ptype: 'p' | 'g'
  /** `p`: subject, domain, object, action, condition, effect. `g`: subject, role or team, domain. */
  readonly fields: readonly string[]
}

/** What is wrong in a line of a file. */
export type RowProblem = {
  /** Counted from 1. */
  readonly line: number
  /** One sentence. */
  readonly detail: string
}

const NAMES = {
  p: ['subject', 'domain', 'object', 'action', 'condition', 'effect'],
  g: ['subject', 'role or team', 'domain'],
} as const

/** Where a `*` may stand; conditions multiply with it, and a subject that is `*` is for `lintPolicy` to explain. */
const PATTERNS = new Set(['domain', 'object'])

/** The position of the condition in `p`, where lines without one get `true`. */
const CONDITION = 4

const nearestEffect = (effect: string) => {
  if (/^\s*a/i.test(effect)) return ' Did you mean `allow`?'
  return /^\s*d/i.test(effect) ? ' Did you mean `deny`?' : ''
}

const problemsOfField = (name: string, value: string): string[] => {
  if (value === '') return [`The ${name} is empty.`]
  if (value.trim() !== value) return [`The ${name} begins or ends with a blank.`]
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones to refuse.
  if (/[\u0000-\u001f\u007f]/.test(value) || !value.isWellFormed())
    return [`The ${name} holds a line break or another control character.`]
  if (name === 'effect')
    return value === 'allow' || value === 'deny'
      ? []
      : [
          `The effect is ${JSON.stringify(value)}; only allow and deny are known.${nearestEffect(value)}`,
        ]
  if (name === 'condition') {
    const check = value === 'true' || checkCondition(value)
    return check === true || check.ok ? [] : [check.detail]
  }
  const star = value.indexOf('*')
  if (star < 0 || value === '*') return []
  if (!PATTERNS.has(name)) return [`A \`*\` in the ${name} must be the whole of it.`]
  return star === value.length - 1
    ? []
    : [`A \`*\` in the ${name} must be its last character: Casbin ignores what follows.`]
}

/** The fields with a condition, if there is one too few and the last is not where a condition would be. */
const withCondition = (fields: readonly string[]) =>
  fields.length === NAMES.p.length - 1
    ? [...fields.slice(0, CONDITION), 'true', ...fields.slice(CONDITION)]
    : fields

const problemOfCount = (ptype: 'p' | 'g', fields: readonly string[]) => {
  const names = NAMES[ptype].join(', ')
  const without = ptype === 'p' ? ', or five without a condition' : ''
  return `A line of ${ptype} has ${NAMES[ptype].length} fields (${names})${without}; this has ${fields.length}.`
}

const isPtype = (ptype: string): ptype is 'p' | 'g' => ptype === 'p' || ptype === 'g'

/**
 * The row of these fields, or everything that is wrong with them, each in one sentence. A `p` of five fields
 * gets the condition `true`: read as the model's six, its effect would be taken for a condition and a deny be
 * lost.
 */
export const readRow = (
  line: number,
  ptype: string,
  given: readonly string[],
): { readonly row: CasbinRow } | { readonly problems: readonly string[] } => {
  if (!isPtype(ptype)) {
    const mean = isPtype(ptype.trim().toLowerCase())
      ? ` Did you mean ${ptype.trim().toLowerCase()}?`
      : ''
    return {
      problems: [`There are lines of p and of g, and none of ${JSON.stringify(ptype)}.${mean}`],
    }
  }
  const fields = ptype === 'p' ? withCondition(given) : given
  if (fields.length !== NAMES[ptype].length) return { problems: [problemOfCount(ptype, given)] }
  const problems = NAMES[ptype].flatMap((name, index) => problemsOfField(name, fields[index]!))
  return problems.length > 0 ? { problems } : { row: { line, ptype, fields } }
}
