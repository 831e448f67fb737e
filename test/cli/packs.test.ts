import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { runLine } from './console.ts'

let server: Listening
beforeAll(async () => {
  server = await startListening()
})
afterAll(() => server.drop())

const must = async (...given: Parameters<Listening['call']>) => {
  const { status, body } = await server.call(...given)
  expect([given[0], status < 300, body?.detail]).toEqual([given[0], true, undefined])
  return body
}

test('the built-in packs are handed in, approved, marked official, installed, and decide', async () => {
  const [publisher, other] = [await server.newOrganization(), await server.newOrganization()]
  await must(`PUT ${publisher.path}/publisher`, { handle: `h-${publisher.slug}` })
  const { secret } = await must(`POST ${publisher.path}/api-keys`, {
    ...{ name: 'cli', roles: ['admin'], permissions: ['marketplace:publish'] },
  })
  const run = () =>
    runLine(['templates', 'packs', '-o', publisher.slug], {
      LATCHKEY_URL: server.url,
      LATCHKEY_KEY: secret,
    })
  const { code, out, err } = await run()
  expect([code, err]).toEqual([0, ''])
  expect(out).toMatch(/administration +submitted/)
  expect((await run()).out).toMatch(/model-workspace +there already/)

  const open = `/v1/marketplace/moderation/cases?state=open&publisher=${publisher.slug}`
  const found = await must(`GET ${open.replace(publisher.slug, publisher.id)}`)
  expect(found.items).toHaveLength(3)
  const templates: Record<string, string> = {}
  for (const { id, template } of found.items) {
    const { submitted } = await must(`GET /v1/marketplace/moderation/cases/${id}`)
    const { integrity } = submitted
    await must(`POST /v1/marketplace/moderation/cases/${id}/approve`, { integrity })
    await must(`POST /v1/marketplace/moderation/templates/${template.id}/official`, {
      official: true,
    })
    templates[template.name] = template.id
  }
  const listed = await must(
    `GET /v1/templates?organization=${other.slug}&official=true&kind=role_pack`,
  )
  expect(listed.items.length).toBeGreaterThanOrEqual(3)

  // Before anything is installed, what it would give is shown.
  const wish = { template: templates['Roles for building scenarios'] }
  const shown = await server.call(`POST ${other.path}/installations`, wish)
  expect(shown.body.capabilities).toContain('permission:scenario:execute')
  await must(`POST ${other.path}/installations`, { ...wish, consent: shown.body.consent })
  const { items } = await must(`GET ${other.path}/roles?limit=200`)
  const made = items
    .map(({ name }: { name: string }) => name)
    .filter((name: string) => name.startsWith('scenario-builder.'))
  expect(made.length).toBeGreaterThan(3)
  await must(`PUT ${other.path}/members/bob`, { roles: ['scenario-builder.manager'] })
  const may = async (permission: string) =>
    (await must('POST /check', { organization: other.slug, subject: 'user:bob', permission }))
      .allowed
  expect([await may('scenario:execute'), await may('scenario:delete')]).toEqual([true, false])
})
