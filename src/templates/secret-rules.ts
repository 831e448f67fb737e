import { Problem } from '../platform/problem.ts'

/** Where a rule found a secret, and which rule. */
type Report = { ruleId: string; from: number }
/** What a rule of secretlint asks of whoever runs it. */
type RuleContext = {
  createTranslator: () => () => object
  report: (found: { range: readonly [number, number] }) => void
}
type Source = { content: string; filePath: string; ext: string; contentType: 'text' }
type Rule = {
  meta: { id: string }
  create: (context: RuleContext, options: object) => { file: (source: Source) => unknown }
}

let loading: Promise<readonly Rule[]> | undefined

/**
 * secretlint's recommended rules. Loaded when something is looked at, because most servers never make a template. Run here one by
 * one: its own runner measures each rule and keeps what it measured for good. Left out is the rule by which a text could tell
 * the others to look away.
 */
const load = async (): Promise<readonly Rule[]> => {
  const { rules } = await import('@secretlint/secretlint-rule-preset-recommend')
  return (rules as unknown as readonly Rule[]).filter(
    ({ meta }) => !meta.id.endsWith('filter-comments'),
  )
}

/**
 * What looks like a secret in a text, in the order of the rules.
 * @throws Problem 503 where a rule cannot run: nothing passes unseen
 */
export const lint = async (content: string): Promise<Report[]> => {
  loading ??= load()
  const reports: Report[] = []
  try {
    for (const { meta, create } of await loading) {
      const rule = create(
        {
          createTranslator: () => () => ({}),
          report: ({ range: [from] }) => void reports.push({ ruleId: meta.id, from }),
        },
        {},
      )
      await rule.file({ content, filePath: 'definition.txt', ext: '.txt', contentType: 'text' })
    }
  } catch (error) {
    loading = undefined
    const problem = new Problem(
      'unavailable',
      'scan-unavailable',
      'Secrets cannot be looked for just now.',
    )
    throw Object.assign(problem, { cause: error })
  }
  return reports
}
