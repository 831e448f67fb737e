import type { Context } from '../platform/context.ts'
import type { Queryable } from '../platform/db/connect.ts'
import { inOrganization } from '../platform/db/transaction.ts'
import { positionOf, toPage } from '../platform/page.ts'
import { Problem } from '../platform/problem.ts'
import { definitionOf } from '../scenarios/service.ts'
import {
  decideDownload,
  differenceOf,
  newestFirst,
  readContent,
  requireVisible,
  resolve,
} from '../templates/service.ts'
import * as repository from './repository.ts'
import type { CatalogVersion, Difference, ListVersions, OneVersion } from './schema.ts'

type Template = Awaited<ReturnType<typeof requireVisible>>

/** The versions that an organization may know of, the newest first. */
export const readVersions = async (tx: Queryable, organizationId: string, template: Template) => {
  const isOwn = template.organizationId === organizationId
  const versions = await repository.listVersions(tx, template.id, isOwn)
  return versions.sort((one, other) => newestFirst(one.version, other.version))
}

/** The one of them that an exact version, a range or `latest` names; undefined where none is. */
export const findAmong = (versions: readonly CatalogVersion[], wanted: string) => {
  const exact = versions.find(({ version }) => version === wanted)
  if (exact) return exact
  const published = versions.filter(({ status }) => status === 'published')
  const chosen = resolve(
    published.map(({ version }) => version),
    wanted,
  )
  return published.find(({ version }) => version === chosen)
}

export const listVersions = (
  context: Context,
  { template: id, limit, cursor }: { template: string } & ListVersions,
) =>
  inOrganization(context, async (tx, organizationId) => {
    const template = await requireVisible(tx, { organizationId, template: id })
    const all = await readVersions(tx, organizationId, template)
    const after = positionOf(cursor)
    const from = after === '' ? 0 : all.findIndex(({ version }) => version === after) + 1
    return toPage(all.slice(from, from + limit + 1), limit, ({ version }) => version)
  })

const requireVersion = async (
  tx: Queryable,
  organizationId: string,
  { template: id, version: wanted }: OneVersion,
): Promise<CatalogVersion> => {
  const template = await requireVisible(tx, { organizationId, template: id })
  const found = findAmong(await readVersions(tx, organizationId, template), wanted)
  if (!found) throw new Problem('not-found', 'version-not-found', 'There is no such version.')
  return found
}

/** One version without its definition. */
export const getVersion = (context: Context, one: OneVersion): Promise<CatalogVersion> =>
  inOrganization(context, (tx, organizationId) => requireVersion(tx, organizationId, one))

/**
 * The definition of a version, for those who may have it. Each caller gets a copy of its own.
 * @throws Problem 404, 410, 402 as the download decision says
 */
export const getContent = (context: Context, { template, version }: OneVersion) =>
  inOrganization(context, async (tx, organizationId) => {
    const download = await decideDownload(tx, { organizationId, template, version })
    const content = await readContent(tx, { organizationId, download })
    const { definition, integrity } = content
    return { definition: definitionOf(definition), integrity, license: download.template.license }
  })

/** What changes for whoever goes from one version to another. */
export const getDifference = (
  context: Context,
  { template, version, from }: OneVersion & { from: string },
): Promise<Difference> =>
  inOrganization(context, async (tx, organizationId) => {
    const before = await requireVersion(tx, organizationId, { template, version: from })
    const after = await requireVersion(tx, organizationId, { template, version })
    return {
      from: before.version,
      to: after.version,
      capabilities: differenceOf(before.capabilities, after.capabilities),
      inputs: inputsBetween(before.inputs, after.inputs),
      changelog: after.changelog,
    }
  })

type Inputs = CatalogVersion['inputs']

const inputsBetween = (before: Inputs, after: Inputs) => {
  const named = (inputs: Inputs, name: string) => inputs.find((input) => input.name === name)
  return {
    added: after.filter(({ name }) => !named(before, name)),
    removed: before.filter(({ name }) => !named(after, name)),
    changed: after.filter((input) => {
      const old = named(before, input.name)
      return old !== undefined && JSON.stringify(old) !== JSON.stringify(input)
    }),
  }
}
