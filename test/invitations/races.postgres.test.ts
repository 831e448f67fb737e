import { afterAll, beforeAll, expect, test } from 'vitest'
import { tokenIn } from '../support/mailbox.ts'
import { startWithMail } from './fixtures.ts'

let world: Awaited<ReturnType<typeof startWithMail>>
beforeAll(async () => {
  world = await startWithMail()
})
afterAll(() => world.stop())

test('of thirty who accept one token at once, one joins, once', async () => {
  const { path, id } = await world.server.newOrganization()
  const email = 'many@example.com'
  await world.server.call(`POST ${path}/invitations`, { email, roles: ['viewer'] })
  const token = tokenIn(await world.mailbox.mailTo(email))
  const people = await Promise.all(
    Array.from({ length: 30 }, (_, n) => world.person(`p${n}`, email)),
  )
  const answers = await Promise.all(
    people.map((key) => world.server.call('POST /v1/invitations/accept', { token }, { key })),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(29).fill(404)])
  const [row] = await world.server.sql`
    select (select count(*) from members where organization_id = ${id} and source = 'invitation') as members,
      (select count(*) from grants where organization_id = ${id} and role_name = 'viewer') as grants`
  expect(row).toEqual({ members: 1, grants: 1 })
})

test('of twenty invitations of one address at once, one is pending', async () => {
  const { path } = await world.server.newOrganization()
  const answers = await Promise.all(
    Array.from({ length: 20 }, () =>
      world.server.call(`POST ${path}/invitations`, { email: 'one@example.com' }),
    ),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(19).fill(409)])
})
