import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { runLine } from './console.ts'

// Each run starts a database in memory, which takes seconds.
vi.setConfig({ testTimeout: 120_000 })

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'latchkey-cli-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const file = async (name: string, text: string) => {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}
const scenario = (expected: string) => `
name: bob looks
given:
  members: [{ user: bob, roles: [viewer] }]
ask:
  - { subject: "user:bob", permission: "scenario:read", expect: allow }
  - { subject: "user:bob", permission: "scenario:delete", resource: "scenario:1", expect: ${expected} }
`

describe('latchkey policy test', () => {
  test('runs scenarios, and counts what is answered as expected', async () => {
    const { code, out } = await runLine([
      'policy',
      'test',
      await file('good.yaml', scenario('deny')),
    ])
    expect([code, out]).toEqual([0, '2 questions answered as expected, 0 not\n'])
  })

  test('fails with the question, what was expected and why it is otherwise', async () => {
    const { code, out, err } = await runLine([
      'policy',
      'test',
      await file('bad.yaml', scenario('allow')),
    ])
    expect(code).toBe(1)
    expect(out).toContain(
      'bob looks: user:bob scenario:delete scenario:1 should be allow, and is deny (no role or grant gives this here)',
    )
    expect(out).toContain('1 questions answered as expected, 1 not')
    expect(err).toContain('the policy does not do what its scenarios say')
  })

  test.each([
    ['no questions', 'name: x\ngiven: {}\nask: []\n', 'ask: must ask at least one question'],
    ['an unknown member', `${scenario('deny')}color: red\n`, 'color'],
    ['text that is no YAML', 'name: [', 'is not YAML'],
    ['an unknown role', scenario('deny').replace('viewer', 'viewr'), 'given/members/0/roles/0'],
  ])('names the place in a file with %s', async (_, text, place) => {
    const { code, err } = await runLine(['policy', 'test', await file('odd.yaml', text)])
    expect([code, err.includes('    at ')]).toEqual([1, false])
    expect(err).toContain('odd.yaml')
    expect(err).toContain(place)
  })

  test('says which file cannot be read', async () => {
    const { code, err } = await runLine(['policy', 'test', '/nowhere.yaml'])
    expect([code, err]).toEqual([1, expect.stringContaining('/nowhere.yaml cannot be read')])
  })
})

describe('latchkey policy lint', () => {
  test('finds the shipped policies fine', async () => {
    const { code, out } = await runLine(['policy', 'lint'])
    expect([code, out.match(/fine/g)?.length]).toEqual([0, 3])
  })

  test('fails for a mistake, with file, line and a sentence', async () => {
    const path = await file('bad.csv', 'p, role:a, *, doc:*, read, "subject.", allow\n')
    const { code, out, err } = await runLine(['policy', 'lint', path])
    expect([code, err]).toEqual([1, 'latchkey: 1 error\n'])
    expect(out).toContain(`${path}:1`)
  })

  test('passes a file without mistakes', async () => {
    const path = await file(
      'good.csv',
      'p, role:a, *, doc:*, read, "true", allow\ng, user:bob, role:a, *\n',
    )
    const { code, out } = await runLine(['policy', 'lint', path])
    expect([code, out]).toEqual([0, expect.stringContaining(path)])
  })

  test('says which file cannot be read', async () => {
    const { code, err } = await runLine(['policy', 'lint', '/nowhere.csv'])
    expect([code, err]).toEqual([1, 'latchkey: /nowhere.csv cannot be read\n'])
  })
})
