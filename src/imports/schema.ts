import * as v from 'valibot'
import { CreateGrant } from '../grants/schema.ts'
import {
  Attributes,
  Description,
  ExternalId,
  Member,
  Name,
  Reference,
  ResourceType,
  RoleName,
  Slug,
  Timestamp,
} from '../permissions/schema.ts'
import { HeldPermission } from '../roles/schema.ts'

/** Bytes, objects, and entries of their lists that one document may have. A hundred thousand objects always fit. */
export const DOCUMENT_BYTES_MAX = 64 * 1024 * 1024
export const OBJECTS_MAX = 125_000
export const ENTRIES_MAX = 500_000

/** The lists of a document. Each names things of those before it only. */
export const KINDS = ['roles', 'members', 'teams', 'workspaces', 'resources', 'grants'] as const
export type Kind = (typeof KINDS)[number]

const roleNames = (most: number) =>
  v.pipe(v.array(RoleName), v.maxLength(most, `must list at most ${most} roles`))

/** A custom role. */
export const ImportedRole = v.strictObject({
  name: RoleName,
  permissions: v.optional(
    v.pipe(v.array(HeldPermission), v.maxLength(500, 'must list at most 500 permissions')),
  ),
  inherits: v.optional(roleNames(50)),
  scope: v.optional(v.picklist(['organization', 'workspace'], 'must be organization or workspace')),
  description: v.optional(Description),
})

/** A member with exactly these roles in the whole organization. */
export const ImportedMember = v.strictObject({
  user: Member,
  roles: v.optional(roleNames(100)),
  attributes: v.optional(Attributes),
  status: v.optional(v.picklist(['active', 'suspended'], 'must be active or suspended')),
  expiresAt: v.optional(v.nullable(Timestamp)),
})

/** A team; its listed members are added to those it has. */
export const ImportedTeam = v.strictObject({
  slug: Slug,
  name: v.optional(Name),
  parent: v.optional(v.nullable(Slug)),
  members: v.optional(v.array(Member)),
})

/** A workspace; each listed member gets exactly these roles in it. */
export const ImportedWorkspace = v.strictObject({
  slug: Slug,
  name: v.optional(Name),
  members: v.optional(
    v.array(
      v.strictObject({
        user: Member,
        roles: v.pipe(
          roleNames(100),
          v.check((roles) => !roles.includes('owner'), 'owner is of the organization'),
        ),
      }),
    ),
  ),
})

export const ImportedResource = v.strictObject({
  type: ResourceType,
  id: ExternalId,
  workspace: v.optional(v.nullable(Reference)),
  owner: v.optional(v.nullable(ExternalId)),
  attributes: v.optional(Attributes),
})

/** As in POST /grants. `roleScope` says which role is meant where a name exists in both scopes. */
export const ImportedGrant = v.pipe(
  v.strictObject({
    ...CreateGrant.entries,
    roleScope: v.optional(
      v.picklist(['organization', 'workspace'], 'must be organization or workspace'),
    ),
  }),
  v.check(
    ({ role, permission }) => !role !== !permission,
    'must have exactly one of role and permission',
  ),
)

export type ImportedRole = v.InferOutput<typeof ImportedRole>
export type ImportedMember = v.InferOutput<typeof ImportedMember>
export type ImportedTeam = v.InferOutput<typeof ImportedTeam>
export type ImportedWorkspace = v.InferOutput<typeof ImportedWorkspace>
export type ImportedResource = v.InferOutput<typeof ImportedResource>
export type ImportedGrant = v.InferOutput<typeof ImportedGrant>

/** The schema of the objects in each list. */
export const OBJECTS = {
  roles: ImportedRole,
  workspaces: ImportedWorkspace,
  members: ImportedMember,
  teams: ImportedTeam,
  resources: ImportedResource,
  grants: ImportedGrant,
} as const satisfies Record<Kind, v.GenericSchema>

/** What is imported and exported. */
export const ImportDocument = v.strictObject({
  roles: v.optional(v.array(ImportedRole)),
  members: v.optional(v.array(ImportedMember)),
  teams: v.optional(v.array(ImportedTeam)),
  workspaces: v.optional(v.array(ImportedWorkspace)),
  resources: v.optional(v.array(ImportedResource)),
  grants: v.optional(v.array(ImportedGrant)),
})
/** A document whose every object has the right shape. */
export type ImportDocument = {
  [Name in Kind]: v.InferOutput<(typeof OBJECTS)[Name]>[]
}

/** `?dryRun`, `?dryRun=true`: the same answer, and nothing is changed. */
export const ImportOptions = v.strictObject({
  dryRun: v.pipe(
    v.optional(v.picklist(['', 'true', 'false'], 'must be true or false'), 'false'),
    v.transform((text) => text !== 'false'),
  ),
})

const Counts = v.object({
  roles: v.number(),
  members: v.number(),
  teams: v.number(),
  workspaces: v.number(),
  resources: v.number(),
  grants: v.number(),
})
export type Counts = v.InferOutput<typeof Counts>

export const ImportReport = v.object({
  created: Counts,
  updated: Counts,
  unchanged: Counts,
  errors: v.array(v.object({ pointer: v.string(), detail: v.string() })),
})
export type ImportReport = v.InferOutput<typeof ImportReport>

/** `json` is one document, `ndjson` one object a line. */
export const ExportOptions = v.strictObject({
  format: v.optional(v.picklist(['json', 'ndjson'], 'must be json or ndjson'), 'json'),
})
export type ExportOptions = v.InferOutput<typeof ExportOptions>
