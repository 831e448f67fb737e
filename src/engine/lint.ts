import { fromCasbin } from './casbin.ts'
import type { CasbinRow } from './casbin-row.ts'
import { LINK_BUDGET } from './chain.ts'
import { readCasbinCsv } from './csv.ts'

/** Something in a policy that is wrong (`error`) or that is rarely meant (`warning`). */
export type Problem = {
  /** The line of the file, counted from 1, or the row's id in a table. */
  readonly line: number
  readonly severity: 'error' | 'warning'
  /** One sentence. */
  readonly detail: string
}

export type LintOptions = {
  /** Roles that exist beside this policy, as lines name them: `role:organization.admin`. They are not redefined. */
  readonly builtInRoles?: Iterable<string>
}

type Report = (row: CasbinRow, severity: Problem['severity'], detail: string) => void

const isRole = (name: string) => name.startsWith('role:')

/** Built-in roles carry their scope: `role:organization.admin`. Other roles are named by their id. */
const isBuiltInName = (name: string) => /^role:(platform|organization|workspace)\./.test(name)

/** How a role line is shown: `user:ann → role:editor`. */
const linkOf = ({ fields: [subject, holds] }: CasbinRow) => `${subject} → ${holds}`

const checkWords = (row: CasbinRow, report: Report) => {
  const { ptype, fields } = row
  const [subject = '', second = ''] = fields
  if (subject === '*') {
    report(
      row,
      'error',
      'The subject is `*`, which matches no one; give the line to a role that all hold.',
    )
    return
  }
  if (ptype === 'g' && !/^(role|team):./.test(second))
    report(row, 'error', `Only a role or a team can be held, and ${second} is neither.`)
  else if (ptype === 'g' && fields[2]!.endsWith('/'))
    report(row, 'error', `Nothing is held in ${fields[2]} alone; write ${fields[2]}*.`)
  else
    try {
      fromCasbin(row)
    } catch (error) {
      report(row, 'error', `${(error as Error).message}.`)
    }
  if (ptype === 'p' && isRole(subject) && fields.at(-1) === 'deny')
    report(row, 'warning', `The deny hits everyone who holds or inherits ${subject}, owners too.`)
}

const checkDuplicates = (rows: readonly CasbinRow[], report: Report) => {
  const first = new Map<string, number>()
  for (const row of rows) {
    const words = JSON.stringify([row.ptype, ...row.fields])
    const line = first.get(words)
    if (line === undefined) first.set(words, row.line)
    else report(row, 'warning', `The same as line ${line}.`)
  }
}

const checkRoles = (rows: readonly CasbinRow[], builtIn: ReadonlySet<string>, report: Report) => {
  const defined = new Set(rows.map(({ fields }) => fields[0]!).concat(...builtIn))
  const missing = new Set<string>()
  for (const row of rows) {
    const [subject = '', second = ''] = row.fields
    const place = row.fields[row.ptype === 'p' ? 1 : 2]
    if (builtIn.has(subject) || (isBuiltInName(subject) && place !== '*'))
      report(row, 'error', `${subject} is a built-in role, and this line would change it.`)
    if (row.ptype !== 'g' || !isRole(second) || defined.has(second) || missing.has(second)) continue
    missing.add(second)
    report(row, 'warning', `${second} is held, and no line says what it may.`)
  }
}

/** The patterns that cover everything that a pattern covers, itself among them. */
const coveringOf = (pattern: string): string[] => {
  const covering = ['*']
  for (let slash = pattern.indexOf('/', 1); slash > 0; slash = pattern.indexOf('/', slash + 1))
    covering.push(`${pattern.slice(0, slash)}/*`)
  return covering.includes(pattern) ? covering : [...covering, pattern]
}

/** Links by whose subject they have. */
type Links = ReadonlyMap<string, readonly CasbinRow[]>

/** A cycle among links of which each is left over because another one leads to it. */
const findCycle = (left: readonly CasbinRow[]): CasbinRow[] => {
  const into = new Map(left.map((row) => [row.fields[1]!, row]))
  const seen = new Map<string, number>()
  const path: CasbinRow[] = []
  for (let name = left[0]!.fields[0]!; ; ) {
    const start = seen.get(name)
    if (start !== undefined) return path.slice(start).reverse()
    seen.set(name, path.length)
    const row = into.get(name)!
    path.push(row)
    name = row.fields[0]!
  }
}

/** Follows links from the subjects that no link leads to; what is never reached lies on or behind a cycle. */
const follow = (links: Links, rows: readonly CasbinRow[]) => {
  const waiting = Map.groupBy(rows, ({ fields }) => fields[1]!)
  const open = new Map([...waiting].map(([name, into]) => [name, into.length]))
  const reached = [...links.keys()].filter((name) => !open.has(name))
  const depth = new Map<string, number>()
  let tooLong: CasbinRow | undefined
  for (const name of reached)
    for (const row of links.get(name) ?? []) {
      const holds = row.fields[1]!
      const links = Math.max(depth.get(holds) ?? 0, (depth.get(name) ?? 0) + 1)
      depth.set(holds, links)
      if (links === LINK_BUDGET + 1) tooLong ??= row
      open.set(holds, open.get(holds)! - 1)
      if (open.get(holds) === 0) reached.push(holds)
    }
  const behind = new Set(reached)
  return { tooLong, left: rows.filter(({ fields }) => !behind.has(fields[0]!)) }
}

/**
 * Links hold together where all their patterns do, which is within the narrowest of them; so each pattern is
 * looked at with the links of the patterns that cover it.
 */
const checkChains = (rows: readonly CasbinRow[], report: Report) => {
  const byPattern = Map.groupBy(rows, ({ fields }) => fields[2]!)
  const told = new Set<CasbinRow>()
  const tell = (row: CasbinRow, detail: string) => {
    if (told.has(row)) return
    told.add(row)
    report(row, 'error', detail)
  }
  for (const pattern of byPattern.keys()) {
    const together = coveringOf(pattern).flatMap((covering) => byPattern.get(covering) ?? [])
    const links = Map.groupBy(together, ({ fields }) => fields[0]!)
    const { tooLong, left } = follow(links, together)
    if (tooLong)
      tell(
        tooLong,
        `${linkOf(tooLong)} is link ${LINK_BUDGET + 1} of a chain, and beyond ${LINK_BUDGET} nothing is held.`,
      )
    if (left.length > 0) {
      const cycle = findCycle(left)
      const [first] = cycle
      tell(
        first!,
        `The links go round: ${[first!.fields[0], ...cycle.map(({ fields }) => fields[1])].join(' → ')}.`,
      )
    }
  }
}

/**
 * Everything that is wrong or suspicious in a policy, by line: what `readCasbinCsv` finds in a text, words that
 * are no patterns of the model, the subject `*`, cycles, chains of more than 24 links, built-in roles that are
 * changed (errors); a line twice, a role that is held and never defined, a deny on a role (warnings). Never
 * throws. A policy without errors means the same to the compiled index and to Casbin.
 */
export const lintPolicy = (
  policy: string | readonly CasbinRow[],
  { builtInRoles = [] }: LintOptions = {},
): Problem[] => {
  const read = typeof policy === 'string' ? readCasbinCsv(policy) : { lines: policy, problems: [] }
  const problems: Problem[] = read.problems.map((problem) => ({ ...problem, severity: 'error' }))
  const report: Report = ({ line }, severity, detail) => {
    problems.push({ line, severity, detail })
  }
  for (const row of read.lines) checkWords(row, report)
  checkDuplicates(read.lines, report)
  checkRoles(read.lines, new Set(builtInRoles), report)
  checkChains(
    read.lines.filter(({ ptype }) => ptype === 'g'),
    report,
  )
  return problems.sort((left, right) => left.line - right.line)
}
