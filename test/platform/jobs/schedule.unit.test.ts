import { describe, expect, test } from 'vitest'
import {
  faultOfCron,
  nextSlots,
  slotsBetween,
  slotsToRun,
} from '../../../src/platform/jobs/schedule.ts'

const at = (text: string) => new Date(text)
const iso = (slots: Date[]) => slots.map((slot) => slot.toISOString())

describe('the times of a schedule', () => {
  test('lie after the last one and up to now', () => {
    const slots = slotsBetween(
      { cron: '*/15 * * * *', zone: 'UTC' },
      at('2026-03-01T10:00:00Z'),
      at('2026-03-01T10:45:00Z'),
    )
    expect(iso(slots)).toEqual([
      '2026-03-01T10:15:00.000Z',
      '2026-03-01T10:30:00.000Z',
      '2026-03-01T10:45:00.000Z',
    ])
  })

  test('follow their zone: what the spring change skips runs once, what autumn repeats runs once', () => {
    const zone = 'Europe/Berlin'
    const spring = slotsBetween(
      { cron: '30 2 * * *', zone },
      at('2026-03-28T12:00:00Z'),
      at('2026-03-30T12:00:00Z'),
    )
    expect(iso(spring)).toHaveLength(2)
    expect(iso(spring)[1]).toBe('2026-03-30T00:30:00.000Z')
    const autumn = slotsBetween(
      { cron: '30 2 * * *', zone },
      at('2026-10-24T12:00:00Z'),
      at('2026-10-25T12:00:00Z'),
    )
    expect(autumn).toHaveLength(1)
  })

  test('are a hundred at most: the last ones', () => {
    const slots = slotsBetween(
      { cron: '* * * * *', zone: 'UTC' },
      at('2026-03-01T00:00:00Z'),
      at('2026-03-01T10:00:00Z'),
    )
    expect(slots).toHaveLength(100)
    expect(iso(slots).at(-1)).toBe('2026-03-01T10:00:00.000Z')
  })

  test('are told in advance', () => {
    expect(nextSlots('0 0 1 1 *', 'UTC', 2).map((slot) => slot.slice(5))).toEqual([
      '01-01T00:00:00.000Z',
      '01-01T00:00:00.000Z',
    ])
  })
})

describe('missed times', () => {
  const now = at('2026-03-01T12:00:30Z')
  const slots = ['2026-03-01T10:00:00Z', '2026-03-01T11:00:00Z', '2026-03-01T12:00:00Z'].map(at)
  const missed = slots.slice(0, 2)
  test.each([
    ['skip', slots, 1],
    ['skip', missed, 0],
    ['once', slots, 1],
    ['once', missed, 1],
    ['all', slots, 3],
    ['all', missed, 2],
  ] as const)('%s of %j run %i', (misfire, passed, runs) => {
    const run = slotsToRun(passed, misfire, now)
    expect(run).toHaveLength(runs)
    expect(run.at(-1)).toEqual(runs > 0 ? passed.at(-1) : undefined)
  })
})

test.each([
  ['* * * * *', 'UTC', undefined],
  ['61 * * * *', 'UTC', expect.any(String)],
  ['x', 'UTC', expect.any(String)],
  ['* * * * *', 'Mars/Olympus', expect.any(String)],
  ['0 0 30 2 *', 'UTC', expect.any(String)],
])('%s in %s has the fault %j', (cron, zone, fault) => {
  expect(faultOfCron(cron, zone)).toEqual(fault)
})
