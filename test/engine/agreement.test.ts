import { expect, test } from 'vitest'
import { createEngine } from '../../src/engine/engine.ts'
import { runAgreement } from './agreement.ts'
import { withPlanted } from './planted-engine.ts'

const policies = Number(process.env.LATCHKEY_PROPERTY_POLICIES ?? 500)
const seed = process.env.LATCHKEY_PROPERTY_SEED

test(`decides as Casbin does on ${policies} random policies`, { timeout: 600_000 }, async () => {
  const { tally, message } = await runAgreement(createEngine, {
    policies,
    shrinks: true,
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  })
  expect(message).toBe('')
  const { decisions, allowed, denied, conditional } = tally
  const percent = (part: number) => `${((100 * part) / decisions).toFixed(0)} %`
  process.stdout.write(
    `${decisions} decisions on ${tally.policies} policies: ${percent(allowed)} allowed, ` +
      `${percent(denied)} denied by a line, ${percent(conditional)} with conditions\n`,
  )
  expect(allowed / decisions).toBeGreaterThanOrEqual(0.3)
})

/** Where the engine changes its way of working, and what makes it do so at once. */
const BOUNDS = [
  { file: 'narrow.ts', text: 'SLOTS_WITHOUT_INDEX = 24', planted: 'SLOTS_WITHOUT_INDEX = 0' },
  {
    file: 'line-store.ts',
    text: 'WORKSPACES_WITHOUT_MAP = 8',
    planted: 'WORKSPACES_WITHOUT_MAP = 0',
  },
  { file: 'line-store.ts', text: 'CHANGES_MAX = 64', planted: 'CHANGES_MAX = 1' },
  { file: 'line-store.ts', text: 'LINES_PER_TURN = 5000', planted: 'LINES_PER_TURN = 10' },
  { file: 'view.ts', text: 'LISTED_MAX = 8', planted: 'LISTED_MAX = 1' },
  { file: 'view.ts', text: 'CLOSURES_MAX = 4096', planted: 'CLOSURES_MAX = 1' },
  { file: 'view.ts', text: 'EXTENSIONS_MAX = 64', planted: 'EXTENSIONS_MAX = 1' },
]

test('decides the same when every bound is at its smallest', { timeout: 600_000 }, async () => {
  const { message } = await withPlanted(BOUNDS, ({ createEngine: withSmallBounds }) =>
    runAgreement(withSmallBounds, { policies: Math.min(policies, 200), shrinks: true }),
  )
  expect(message).toBe('')
})
