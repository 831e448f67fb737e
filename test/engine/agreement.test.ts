import { expect, test } from 'vitest'
import { createEngine } from '../../src/engine/engine.ts'
import { runAgreement } from './agreement.ts'

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
