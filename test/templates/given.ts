import { expect } from 'vitest'
import type { TestServer } from '../support/server.ts'

/** A publisher with what its tests need: requests that must succeed, templates in any state, and a moderator's pen. */
export const givenPublisher = async (server: TestServer) => {
  const organization = await server.newOrganization()
  const { path, id: organizationId } = organization
  const must = async (what: string, body?: unknown, options = {}) => {
    const answer = await server.call(what, body, options)
    expect([what, answer.status < 300, answer.body?.errors ?? answer.body?.detail]).toEqual([
      what,
      true,
      answer.body?.detail && answer.status < 300 ? answer.body.detail : undefined,
    ])
    return answer.body
  }
  const handle = organizationId.slice(-20)
  await must(`PUT ${path}/publisher`, { handle })
  let made = 0
  /** A template with the draft 0.1.0, unless no definition is given. */
  const make = async (body: object = {}) => {
    const answer = await server.call(`POST ${path}/templates`, {
      slug: `greet-${made++}`,
      name: `Greet ${organizationId}`,
      category: 'automation',
      license: 'MIT',
      definition: { nodes: [] },
      ...body,
    })
    return { ...answer, at: `${path}/templates/${answer.body?.id}` }
  }
  /** As a moderator would leave it: public, its version approved, listed. */
  const list = async (body: object = {}) => {
    const template = await make(body)
    await must(`PUT ${template.at}/visibility`, { visibility: 'public' })
    await must(`POST ${template.at}/versions/0.1.0/publish`)
    const { id } = template.body
    await server.sql`update template_versions set approved_integrity = integrity where template_id = ${id}`
    await server.sql`update templates set listing = 'listed' where id = ${id}`
    return template
  }
  const eventsOf = async (event: string) => {
    const rows = await server.sql<{ body: string }[]>`
      select body from audit_events where log = ${organizationId} and event = ${event} order by revision`
    return rows.map(({ body }) => JSON.parse(body))
  }
  return { ...organization, handle, must, make, list, eventsOf }
}
export type Publisher = Awaited<ReturnType<typeof givenPublisher>>
