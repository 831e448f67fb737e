import * as v from 'valibot'
import { Attributes, ExternalId, Reference, ResourceType } from '../permissions/schema.ts'
import { Page } from '../platform/page.ts'

export const Resource = v.object({
  type: v.string(),
  id: v.string(),
  workspace: v.nullable(v.string()),
  owner: v.nullable(v.string()),
  attributes: v.record(v.string(), v.unknown()),
  suspendedBecause: v.nullable(v.string()),
  version: v.number(),
  createdAt: v.string(),
  updatedAt: v.string(),
})
export type Resource = v.InferOutput<typeof Resource>

export const OneResource = v.object({ type: ResourceType, id: ExternalId })
export type OneResource = v.InferOutput<typeof OneResource>

export const PutResource = v.strictObject({
  workspace: v.optional(v.nullable(Reference)),
  owner: v.optional(v.nullable(ExternalId)),
  attributes: v.optional(Attributes),
})
export type PutResource = OneResource & v.InferOutput<typeof PutResource>

export const ListResources = v.strictObject({
  workspace: v.optional(Reference),
  owner: v.optional(ExternalId),
  ...Page,
})
export type ListResources = { type: string } & v.InferOutput<typeof ListResources>
export const OneType = v.object({ type: ResourceType })
