import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startWithDns } from '../domains/fixtures.ts'
import { ATTEMPTS, type Attempt } from './attempts.ts'
import { type Managed, newManaged, revisionOf, standing, type World } from './fixtures.ts'

// Carol runs an organization and holds everything its endpoints ask for, but not what is strong: she tries every way to
// give it to herself, or to others. Each must be refused, change nothing, and give nobody anything. All try the same
// organization: of several that fail, the first is to blame, for what it gave is there for the others.

let world: World
let organization: Managed
beforeAll(async () => {
  world = await startWithDns()
  organization = await newManaged(world)
})
afterAll(() => world.stop())

const as = async (name: string, { path, things }: Managed, [, what, body]: Attempt) => {
  const filled = (text: string) =>
    text.replace(/\{(\w+)\}/g, (_, thing: keyof typeof things) => things[thing])
  const [method, at = ''] = filled(what).split(' ')
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return world.server.call(
    `${method} ${at.startsWith('/v1/') ? at : path + at}`,
    text === undefined ? undefined : filled(text),
    { key: await world.person(name) },
  )
}

/** Where an answer says why not: as a problem, in the answer of a preview, in the lines of a table. */
const codeOf = ({ code, problem, lines }: Answer) => code ?? problem?.code ?? lines?.[0]?.code
type Answer = { code?: string; problem?: { code: string }; lines?: { code: string }[] }

const situation = async () => [
  await revisionOf(world, organization),
  await standing(world, organization),
]

describe.each(Object.entries(ATTEMPTS))('by way of %s', (_, attempts) => {
  test.each(attempts)('nobody gives %s (%s)', async (...attempt) => {
    const [, , , status, code] = attempt
    const before = await situation()
    const answer = await as('carol', organization, attempt)
    expect([answer.status, codeOf(answer.body)]).toEqual([status, code])
    // Whoever is refused is told why, in a sentence.
    if (status >= 400) expect(answer.body.detail).toMatch(/^[/A-Z].{10,}[.?]$/)
    expect(await situation()).toEqual(before)
  })
})

test('an owner is refused nothing of it for want of power but what is of the platform', async () => {
  const own = await newManaged(world)
  const wanting = Object.values(ATTEMPTS)
    .flat()
    .filter(([, , , , code]) => code === 'above-ceiling' || code === 'owner-required')
  const refused = []
  for (const attempt of wanting) {
    const { body } = await as('alice', own, attempt)
    if (codeOf(body) === attempt[4]) refused.push(attempt[0])
  }
  expect(refused).toEqual(['the platform'])
})

test('what a role was, and how two differ, is told of no other organization and not of the platform', async () => {
  const other = await newManaged(world)
  await other.make('PUT /roles/secret', { permissions: ['scenario:delete'] })
  await other.make('PUT /roles/strong', { permissions: ['scenario:execute'] })
  const look = (what: string): Attempt => [what, `GET /roles/${what}`, undefined, 0, '']
  const history = await as('carol', organization, look('strong/history'))
  expect([history.status, history.body.items.length]).toEqual([200, 1])
  const unknown = await as('carol', organization, look('secret/history'))
  expect([unknown.status, unknown.body.items]).toEqual([200, []])
  for (const what of [
    'secret',
    'super_admin',
    'strong/compare/secret',
    'strong/compare/operator',
  ]) {
    const { status, body } = await as('carol', organization, look(what))
    expect([what, status, body.code]).toEqual([what, 404, 'role-not-found'])
  }
})
