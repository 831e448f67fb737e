import { newId } from '../platform/id.ts'
import { type Change, isFirst, lookUp, type Run } from './run.ts'
import { isSameJson } from './same.ts'
import type { ImportedGrant, ImportedResource, ImportedWorkspace } from './schema.ts'
import {
  findResources,
  findWorkspaces,
  type ResourceId,
  type StoredResource,
  type StoredWorkspace,
} from './stored.ts'

export type WorkspacePlan = {
  changes: Change<StoredWorkspace>[]
  /** By id and by slug. */
  known: ReadonlyMap<string, StoredWorkspace>
}

/** What the document's workspaces come to. */
export const planWorkspaces = async (
  run: Run,
  entries: readonly ImportedWorkspace[],
): Promise<WorkspacePlan> => {
  const known = new Map<string, StoredWorkspace>()
  for (const workspace of await findWorkspaces(run.tx, run.organizationId))
    known.set(workspace.id, workspace).set(workspace.slug, workspace)
  const changes: Change<StoredWorkspace>[] = []
  const seen = new Map<string, number>()
  for (const [index, { slug, name }] of entries.entries()) {
    await run.pace()
    if (!isFirst(run, seen, { key: slug, kind: 'workspaces', index })) continue
    const before = known.get(slug)
    const after = { id: before?.id ?? newId('wsp'), slug, name: name ?? before?.name ?? slug }
    known.set(after.id, after).set(slug, after)
    changes.push({ index, before, after, changed: before?.name !== after.name })
  }
  return { changes, known }
}

/** The workspace that a reference names; null for none. A fault where there is no such workspace. */
export const resolveWorkspace = (
  { faults }: Run,
  { known }: WorkspacePlan,
  reference: string | null | undefined,
  pointer: string,
): string | null => {
  if (reference === null || reference === undefined) return null
  const workspace = known.get(reference)
  if (!workspace)
    faults.add(
      pointer,
      `There is no such workspace.${faults.suggestion(reference, slugsOf(known))}`,
    )
  return workspace?.id ?? null
}

const slugsOf = (known: WorkspacePlan['known']) =>
  new Map([...known.values()].map(({ slug }) => [slug, slug]))

export const resourceKey = ({ type, id }: ResourceId) => `${type}:${id}`

/** `type:id`; the first colon splits. */
export const resourceOf = (reference: string): ResourceId => {
  const colon = reference.indexOf(':')
  return { type: reference.slice(0, colon), id: reference.slice(colon + 1) }
}

export type ResourcePlan = {
  changes: Change<StoredResource>[]
  /** What the document says of resources, and what is stored of those it names: by `type:id`. */
  known: ReadonlyMap<string, StoredResource>
  /** Resources that are new, or will be elsewhere: what is held on them now says nothing of then. */
  moved: ReadonlySet<string>
  /** Those of them that are new. */
  added: ReadonlySet<string>
}

/** What the document's resources come to; those that its grants name are looked up, too. */
export const planResources = async (
  run: Run,
  workspaces: WorkspacePlan,
  {
    resources,
    grants,
  }: { resources: readonly ImportedResource[]; grants: readonly ImportedGrant[] },
): Promise<ResourcePlan> => {
  const known = await findNamed(run, resources, grants)
  const [moved, added] = [new Set<string>(), new Set<string>()]
  const changes: Change<StoredResource>[] = []
  const seen = new Map<string, number>()
  for (const [index, entry] of resources.entries()) {
    await run.pace()
    const { type, id, workspace, owner, attributes } = entry
    const key = resourceKey(entry)
    if (!isFirst(run, seen, { key, kind: 'resources', index })) continue
    refuseUnknownType(run, type, `/resources/${index}/type`)
    const before = known.get(key)
    const after: StoredResource = {
      type,
      id,
      workspaceId:
        workspace === undefined
          ? (before?.workspaceId ?? null)
          : resolveWorkspace(run, workspaces, workspace, `/resources/${index}/workspace`),
      owner: owner === undefined ? (before?.owner ?? null) : owner,
      attributes: attributes ?? before?.attributes ?? {},
    }
    known.set(key, after)
    if (!before) added.add(key)
    if (before?.workspaceId !== after.workspaceId) moved.add(key)
    changes.push({ index, before, after, changed: !before || !isSameResource(before, after) })
  }
  return { changes, known, moved, added }
}

const isSameResource = (before: StoredResource, after: StoredResource) =>
  before.workspaceId === after.workspaceId &&
  before.owner === after.owner &&
  isSameJson(before.attributes, after.attributes)

const findNamed = async (
  run: Run,
  resources: readonly ImportedResource[],
  grants: readonly ImportedGrant[],
) => {
  const named = new Map<string, ResourceId>()
  for (const { type, id } of resources) named.set(resourceKey({ type, id }), { type, id })
  for (const { resource } of grants) if (resource) named.set(resource, resourceOf(resource))
  const rows = await lookUp(run, [...named.values()], (slice) =>
    findResources(run.tx, run.organizationId, slice),
  )
  return new Map(rows.map((row) => [resourceKey(row), row]))
}

/** A fault for a resource type that nobody registered. */
export const refuseUnknownType = (
  { faults, resourceTypes }: Run,
  type: string,
  pointer: string,
) => {
  if (!resourceTypes.has(type))
    faults.add(
      pointer,
      `The resource type is not registered.${faults.suggestion(type, resourceTypes)}`,
    )
}
