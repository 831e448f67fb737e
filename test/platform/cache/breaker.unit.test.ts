import { expect, test } from 'vitest'
import { createBreaker } from '../../../src/platform/cache/breaker.ts'

const create = (ping: () => Promise<void>) => {
  let ms = 0
  const changes: string[] = []
  const breaker = createBreaker({
    ping,
    now: () => ms,
    onChange: ({ state }) => void changes.push(state),
  })
  const pass = (by: number) => {
    ms += by
  }
  return { breaker, changes, pass }
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 0))
const here = async () => {}
const away = async () => Promise.reject(new Error('away'))

test('opens after five failures in a row, not after four with an answer between', () => {
  const { breaker } = create(away)
  for (let turn = 0; turn < 4; turn++) breaker.failed()
  breaker.succeeded()
  for (let turn = 0; turn < 4; turn++) breaker.failed()
  expect(breaker.state()).toMatchObject({ state: 'closed', failures: 4 })
  breaker.failed()
  expect(breaker.state()).toMatchObject({ state: 'open', failures: 5 })
  expect(breaker.passes()).toBe(false)
})

test('stays open for ten seconds, and closes when a ping of its own comes back', async () => {
  const { breaker, changes, pass } = create(here)
  for (let turn = 0; turn < 5; turn++) breaker.failed()
  pass(9_999)
  expect([breaker.passes(), breaker.state().state]).toEqual([false, 'open'])
  pass(1)
  expect([breaker.passes(), breaker.state().state]).toEqual([false, 'half-open'])
  await settled()
  expect([breaker.passes(), breaker.state().state]).toEqual([true, 'closed'])
  expect(changes).toEqual(['open', 'half-open', 'closed'])
})

test('asks once while it is half-open, and opens for ten more seconds when that fails', async () => {
  let pings = 0
  const { breaker, pass } = create(async () => {
    pings++
    throw new Error('away')
  })
  for (let turn = 0; turn < 5; turn++) breaker.failed()
  pass(10_000)
  for (let turn = 0; turn < 50; turn++) expect(breaker.passes()).toBe(false)
  expect(pings).toBe(1)
  await settled()
  expect(breaker.state().state).toBe('open')
  pass(9_999)
  expect(breaker.passes()).toBe(false)
  expect(pings).toBe(1)
})

test('lets nobody wait behind a late answer, and asks until the store answers or it opens', async () => {
  const { breaker } = create(away)
  breaker.overdue()
  expect([breaker.passes(), breaker.state()]).toMatchObject([false, { isSuspect: true }])
  await settled()
  expect(breaker.state()).toMatchObject({ state: 'open', failures: 5, isSuspect: false })

  const hiccup = create(here)
  hiccup.breaker.overdue()
  expect(hiccup.breaker.passes()).toBe(false)
  await settled()
  expect(hiccup.breaker.passes()).toBe(true)
  expect(hiccup.breaker.state()).toMatchObject({ state: 'closed', failures: 0 })
})

test('a ping of which nothing is heard is asked again', async () => {
  let pings = 0
  const { breaker, pass } = create(() => {
    pings++
    return pings === 1 ? new Promise(() => {}) : here()
  })
  breaker.overdue()
  pass(5_000)
  expect(breaker.passes()).toBe(false)
  await settled()
  expect([pings, breaker.passes()]).toEqual([2, true])
})

test('late answers to old questions do not open it again, nor close it', () => {
  const { breaker } = create(away)
  for (let turn = 0; turn < 5; turn++) breaker.failed()
  breaker.succeeded()
  breaker.overdue()
  expect(breaker.state()).toMatchObject({ state: 'open', failures: 5 })
})

test('is closed by hand', () => {
  const { breaker } = create(away)
  for (let turn = 0; turn < 5; turn++) breaker.failed()
  breaker.reset()
  expect([breaker.passes(), breaker.state().state]).toEqual([true, 'closed'])
})
