import { expect, test } from 'vitest'
import { createRecorder } from '../../src/workload/service.ts'

test('texts are told apart, and what took long is kept one by one', () => {
  const recorder = createRecorder(100, () => new Date('2026-01-01T00:00:00Z'))
  for (const durationMs of [1, 3, 100]) recorder.seen({ text: 'select $1', durationMs, rows: 2 })
  recorder.seen({ text: 'select 2', durationMs: 99.9, rows: 0 })
  const { measured, slow, dropped } = recorder.take()
  expect(measured).toEqual([
    {
      ...{ text: 'select $1', calls: 3, rows: 6, totalMs: 104, totalMsSquares: 10_010 },
      ...{ maxMs: 100, slow: 1 },
    },
    {
      ...{ text: 'select 2', calls: 1, rows: 0, totalMs: 99.9, totalMsSquares: 99.9 ** 2 },
      ...{ maxMs: 99.9, slow: 0 },
    },
  ])
  expect(slow).toEqual([
    { text: 'select $1', durationMs: 100, rows: 2, at: '2026-01-01T00:00:00.000Z' },
  ])
  expect(dropped).toBe(0)
  expect(recorder.take()).toEqual({ measured: [], slow: [], dropped: 0 })
})

test('what it holds has an end, and it says how much was over it', () => {
  const recorder = createRecorder(1)
  for (let n = 0; n < 3000; n++) recorder.seen({ text: `select ${n}`, durationMs: 5, rows: 1 })
  recorder.seen({ text: 'x'.repeat(10_001), durationMs: 5, rows: 1 })
  const { measured, slow, dropped } = recorder.take()
  expect([measured.length, slow.length, dropped]).toEqual([2000, 200, 1000])
  expect(slow.at(-1)!.text).toBe('select 1999')
})
