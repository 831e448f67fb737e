import { newId } from '../../src/platform/id.ts'
import { integrityOf } from '../../src/templates/integrity.ts'
import type { TestServer } from './server.ts'

let made = 0

/** What stands in the catalog of a test, put there past the API: a publisher's template with an approved, published version. */
export const putListed = async (
  { sql }: Pick<TestServer, 'sql'>,
  organizationId: string,
  {
    name = `Template ${++made}`,
    definition = '{"nodes":[]}',
    version = [1, 0, 0],
    visibility = 'public',
    listing = 'listed',
    capabilities = [] as string[],
    inputs = [] as unknown[],
  } = {},
): Promise<{ id: string; versionId: string }> => {
  const [id, versionId] = [newId('tpl'), newId('ver')]
  const integrity = await integrityOf(definition)
  await sql`insert into publishers (organization_id, handle)
    values (${organizationId}, ${`p${organizationId.slice(4, 24)}${++made}`.slice(0, 60)}) on conflict do nothing`
  await sql`insert into templates (id, organization_id, slug, name, category, license, visibility)
    values (${id}, ${organizationId}, ${`t${++made}`}, ${name}, 'other', 'MIT', ${visibility})`
  const [major, minor, patch] = version as [number, number, number]
  await sql`insert into template_versions ${sql({
    ...{ id: versionId, templateId: id, major, minor, patch, definition, integrity },
    ...{ sizeBytes: new TextEncoder().encode(definition).length, status: 'published' },
    ...{ capabilities: sql.json(capabilities), inputs: sql.json(inputs as never) },
    ...{ approvedIntegrity: integrity, publishedAt: new Date() },
  })}`
  await sql`update templates set listing = ${listing} where id = ${id}`
  return { id, versionId }
}
