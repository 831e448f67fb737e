import { describe, expect, it } from 'vitest'
import { bodyOf, holds } from '../../bench/answers.ts'
import { cellsOf, isReached, median, percentile, short, tableOf } from '../../bench/figures.ts'

describe('figures', () => {
  it('takes the middle value, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([10, 2, 4, 8])).toBe(6)
    expect(median([])).toBeNaN()
  })

  it('takes percentiles by nearest rank', () => {
    const values = Array.from({ length: 100 }, (_, at) => 100 - at)
    expect(percentile(values, 0.5)).toBe(50)
    expect(percentile(values, 0.99)).toBe(99)
    expect(percentile([7], 0.01)).toBe(7)
    expect(percentile([], 0.5)).toBeNaN()
  })

  it('holds a figure against its target from either side', () => {
    const figure = { name: 'x', unit: '×', value: 1.2 }
    expect(isReached({ ...figure, target: 1.2 })).toBe(true)
    expect(isReached({ ...figure, target: 1.1 })).toBe(false)
    expect(isReached({ ...figure, target: 1.3, reach: 'at least' })).toBe(false)
    expect(isReached(figure)).toBeUndefined()
  })

  it('writes three digits that count', () => {
    expect([0.012345, 1.2345, 99.96, 123.4, 312_345.6].map(short)).toEqual([
      ...['0.0123', '1.23', '100', '123', '312,346'],
    ])
    expect([short(undefined), short(Number.NaN)]).toEqual(['', '–'])
  })

  it('pads a table so that it reads as text', () => {
    expect(
      tableOf([
        ['a', 'longer'],
        ['more', 'b'],
      ]),
    ).toBe(['| a    | longer |', '| ---- | ------ |', '| more | b      |'].join('\n'))
    const row = cellsOf([{ name: 'x', unit: 'µs', value: 2, target: 3 }])[1]
    expect(row).toEqual(['x', '2', '', '', 'µs', '≤ 3', 'yes', ''])
  })
})

describe('the answers the load generator reads', () => {
  const head = 'HTTP/1.1 200 OK\r\n'

  it('waits for as many bytes as the head says', () => {
    expect(bodyOf(`${head}Content-Length: 4\r\n`)).toBeUndefined()
    expect(bodyOf(`${head}Content-Length: 4\r\n\r\nab`)).toBeUndefined()
    expect(bodyOf(`${head}content-length: 4\r\n\r\nabcd`)).toBe('abcd')
  })

  it('joins chunks once the last one is there', () => {
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n`
    expect(bodyOf(chunked)).toBeUndefined()
    expect(bodyOf(`${chunked}0\r\n\r\n`)).toBe('abcde')
  })

  it('counts what is known of an answer', () => {
    expect(holds('{"a":true,"b":true}', { body: '', expect: 'true', times: 2 })).toBe(true)
    expect(holds('{"a":true,"b":false}', { body: '', expect: 'true', times: 2 })).toBe(false)
  })
})
