import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type CasbinLine, createEnforcer, fromCasbin } from '../../src/engine/casbin.ts'
import { createEngine, type Engine, type Policy } from '../../src/engine/engine.ts'
import type { Line } from '../../src/engine/line.ts'
import {
  CONDITION_LINES,
  CONDITION_TRUTH,
  environmentOfRow,
  questionOfRow,
  TRUTH,
  TRUTH_LINES,
  type TruthRow,
} from './truth-tables.ts'

const modelText = readFileSync(new URL('../../model.conf', import.meta.url), 'utf8')

/** A line with the effect `Deny` cannot be written as a line of ours; Casbin ignores it, and so must be shown. */
const isOurs = ({ ptype, fields }: CasbinLine) => ptype === 'g' || fields[5] !== 'Deny'

const ownerOf = ({ place }: Line) => (place.kind === 'everywhere' ? null : place.organizationId)

/** Every organization's policy over the platform's. */
const compile = async (engine: Engine, lines: Line[]): Promise<(id: string | null) => Policy> => {
  const byOwner = Map.groupBy(lines, ownerOf)
  const platform = engine.compilePlatform(byOwner.get(null) ?? [])
  const policies = new Map<string | null, Policy>([[null, platform]])
  for (const [id, own] of byOwner)
    if (id !== null) policies.set(id, await engine.compileOrganization(platform, id, own))
  const none = await engine.compileOrganization(platform, 'x', [])
  return (id) => policies.get(id) ?? none
}

const requestOf = (row: TruthRow) =>
  [row.subject, row.domain, row.object, row.action, environmentOfRow(row)] as const

const TABLES: [string, TruthRow[], CasbinLine[]][] = [
  ['without conditions', TRUTH, TRUTH_LINES],
  ['with conditions', CONDITION_TRUTH, CONDITION_LINES],
]

test('holds every row of the two tables', () => {
  expect(TABLES.map(([, rows, lines]) => [rows.length, lines.length])).toEqual([
    [51, 37],
    [33, 27],
  ])
})

test.each(TABLES)('Casbin answers every row %s', async (_, rows, lines) => {
  const enforcer = await createEnforcer(modelText, lines)
  for (const row of rows) {
    const answers = [
      enforcer.enforceSync(...requestOf(row)),
      await enforcer.enforce(...requestOf(row)),
      enforcer.enforceExSync(...requestOf(row))[0],
    ]
    expect([row.number, ...answers]).toEqual([row.number, row.allowed, row.allowed, row.allowed])
  }
})

test.each(['off', 'all'] as const)('the index answers every row, verify %s', async (verify) => {
  const differences: unknown[] = []
  const onDifference = (difference: unknown) => differences.push(difference)
  for (const [, rows, lines] of TABLES) {
    const engine = createEngine({ modelText, verify, onDifference })
    expect(engine.tier).toBe('index')
    const policyOf = await compile(engine, lines.filter(isOurs).map(fromCasbin))
    for (const row of rows) {
      const question = questionOfRow(row)
      const policy = policyOf(question.organizationId)
      const { allowed } = engine.decide(policy, question)
      const explained = engine.explain(policy, question).allowed
      expect([row.number, allowed, explained]).toEqual([row.number, row.allowed, row.allowed])
    }
  }
  expect(differences).toEqual([])
})
