import { newId } from '../../src/platform/id.ts'
import { integrityOf } from '../../src/templates/integrity.ts'
import type { TestServer } from '../support/server.ts'

let made = 0

/** A template as a test wants it: what is left out is dull. */
export type Wanted = {
  name?: string
  summary?: string
  description?: string
  category?: string
  tags?: string[]
  integrations?: string[]
  license?: string
  kind?: string
  visibility?: string
  listing?: string
  isOfficial?: boolean
  ratingSum?: number
  ratingCount?: number
  ratingScore?: number
  installCount?: number
  popularity?: number
  trending?: number
  contentUpdatedAt?: string
  deprecatedAt?: string | null
  derivedFrom?: string | null
  prices?: { currency: string; amountMinor: number }[]
  versions?: { version: [number, number, number]; status?: string; isApproved?: boolean }[]
  definition?: string
}

/** A template put past the API, with all its figures as they are wanted. */
export const putTemplate = async (
  { sql }: Pick<TestServer, 'sql'>,
  organizationId: string,
  wanted: Wanted = {},
) => {
  const id = newId('tpl')
  const { name = `Thing ${++made}`, visibility = 'public', listing = 'listed' } = wanted
  const { prices = [], versions = [{ version: [1, 0, 0] }], definition = '{"nodes":[]}' } = wanted
  const { description, contentUpdatedAt = new Date().toISOString(), ...rest } = wanted
  const { name: _, visibility: __, listing: ___, prices: ____, versions: _____, ...figures } = rest
  const { definition: ______, ...columns } = figures
  await sql`insert into publishers (organization_id, handle)
    values (${organizationId}, ${`h${organizationId.slice(-20)}`}) on conflict do nothing`
  await sql`insert into templates ${sql({
    ...{ id, organizationId, name, slug: `s${++made}`, visibility, category: 'other' },
    ...{ license: 'MIT', pricing: prices.length > 0 ? 'paid' : 'free', contentUpdatedAt },
    ...columns,
  } as never)}`
  if (description !== undefined)
    await sql`insert into template_descriptions ${sql({ templateId: id, description })}`
  const ids: string[] = []
  for (const { version, status = 'published', isApproved = true } of versions) {
    const [major, minor, patch] = version
    const integrity = await integrityOf(definition)
    ids.push(newId('ver'))
    await sql`insert into template_versions ${sql({
      ...{ id: ids.at(-1)!, templateId: id, major, minor, patch, definition, integrity, status },
      ...{ sizeBytes: definition.length, capabilities: sql.json(['integration:slack', 'code']) },
      ...{ inputs: sql.json([]), approvedIntegrity: isApproved ? integrity : null },
      ...{ publishedAt: new Date() },
    })}`
  }
  for (const price of prices)
    await sql`insert into prices ${sql({ id: newId('prc'), templateId: id, ...price })}`
  await sql`update templates set listing = ${listing} where id = ${id}`
  return { id, versionId: ids[0]!, name }
}

/** Has an organization install a template, or have had it. */
export const putInstallation = async (
  { sql }: Pick<TestServer, 'sql'>,
  organizationId: string,
  template: { id: string; versionId: string },
  status = 'active',
) => {
  const id = newId('ins')
  await sql`insert into installations ${sql({
    ...{ id, organizationId, templateId: template.id, versionId: template.versionId, status },
    ...{ consentedCapabilities: sql.json([]), consentedBy: 'user:alice', installer: 'user:alice' },
  })}`
  return id
}
