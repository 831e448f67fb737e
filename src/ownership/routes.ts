import { answers, permit, permitEveryone } from '../platform/http/permit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { etag } from '../platform/version.ts'
import { OfferOwnership, OwnershipOffer } from './schema.ts'
import {
  acceptOwnership,
  declineOwnership,
  getOffer,
  offerOwnership,
  withdrawOffer,
} from './service.ts'

/** Mounted at /v1/organizations/:organization/transfer. */
export const transferRoutes = router()
  .get(
    '/',
    permit('org:read'),
    answers(200, OwnershipOffer, 'Read the offer of ownership'),
    async (c) => {
      const offer = await getOffer(c.var.context)
      return c.json(offer, 200, etag(offer))
    },
  )
  .post(
    '/',
    permit('org:transfer'),
    answers(201, OwnershipOffer, "Offer one's ownership to another member"),
    validate('json', OfferOwnership),
    async (c) => {
      const offer = await offerOwnership(c.var.context, c.req.valid('json'))
      return c.json(offer, 201, etag(offer))
    },
  )
  .delete('/', permit('org:transfer'), answers(204, null, 'Take the offer back'), async (c) => {
    await withdrawOffer(c.var.context)
    return c.body(null, 204)
  })
  .post(
    '/accept',
    permitEveryone('only the member to whom ownership is offered can accept it'),
    answers(200, OwnershipOffer, 'Become an owner'),
    async (c) => c.json(await acceptOwnership(c.var.context)),
  )
  .post(
    '/decline',
    permitEveryone('only the member to whom ownership is offered can decline it'),
    answers(204, null, 'Decline ownership'),
    async (c) => {
      await declineOwnership(c.var.context)
      return c.body(null, 204)
    },
  )
