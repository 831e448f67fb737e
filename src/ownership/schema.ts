import * as v from 'valibot'
import { Member, RoleName } from '../permissions/schema.ts'

export const OwnershipOffer = v.object({
  from: v.string(),
  to: v.string(),
  formerOwnerRole: v.nullable(v.string()),
  createdAt: v.string(),
  expiresAt: v.string(),
  version: v.number(),
})
export type OwnershipOffer = v.InferOutput<typeof OwnershipOffer>

export const OfferOwnership = v.strictObject({
  to: Member,
  /** A role of the organization that the former owner has afterwards, besides those it has now. */
  formerOwnerRole: v.optional(v.nullable(RoleName), null),
})
export type OfferOwnership = v.InferOutput<typeof OfferOwnership>
