import { answers, permit, permitEveryone } from '../platform/http/permit.ts'
import {
  limited,
  perNetwork,
  perOrganization,
  perParameter,
  perSubject,
} from '../platform/http/rate-limit.ts'
import { router } from '../platform/http/router.ts'
import { validate } from '../platform/http/validate.ts'
import { pageOf } from '../platform/page.ts'
import { etag } from '../platform/version.ts'
import {
  Accepted,
  BulkInvitations,
  BulkReport,
  CreateInvitation,
  CreateWorkspaceInvitation,
  Invitation,
  ListInvitations,
  OneInvitation,
  Token,
} from './schema.ts'
import * as service from './service.ts'

/** Requests that may send mail, of one organization. */
const sending = limited('invitation-send', { quota: 120, windowSeconds: 60, of: perOrganization })
/** The same mail to the same person. */
const resending = limited('invitation-resend', {
  ...{ quota: 5, windowSeconds: 3600 },
  of: perParameter('invitation'),
})

/** Mounted at /v1/organizations/:organization/invitations. */
export const invitationRoutes = router()
  .get(
    '/',
    permit('invitation:read'),
    answers(200, pageOf(Invitation), 'List invitations, newest first'),
    validate('query', ListInvitations),
    async (c) => c.json(await service.listInvitations(c.var.context, c.req.valid('query'))),
  )
  .post(
    '/',
    permit('org:member:invite'),
    answers(201, Invitation, 'Invite somebody by e-mail'),
    validate('json', CreateInvitation),
    sending,
    async (c) => {
      const invitation = await service.createInvitation(c.var.context, c.req.valid('json'))
      return c.json(invitation, 201, etag(invitation))
    },
  )
  .post(
    '/bulk',
    permit('org:member:invite'),
    answers(200, BulkReport, 'Invite everybody of a table, with a report per line'),
    validate('json', BulkInvitations),
    sending,
    async (c) => c.json(await service.inviteMany(c.var.context, c.req.valid('json'))),
  )
  .get(
    '/:invitation',
    permit('invitation:read'),
    answers(200, Invitation, 'Read an invitation'),
    validate('param', OneInvitation),
    async (c) => {
      const invitation = await service.getInvitation(c.var.context, c.req.valid('param'))
      return c.json(invitation, 200, etag(invitation))
    },
  )
  .post(
    '/:invitation/resend',
    permit('invitation:manage'),
    answers(200, Invitation, 'Send the mail again, with another token'),
    validate('param', OneInvitation),
    sending,
    resending,
    async (c) => c.json(await service.resendInvitation(c.var.context, c.req.valid('param'))),
  )
  .delete(
    '/:invitation',
    permit('invitation:manage'),
    answers(204, null, 'Revoke an invitation'),
    validate('param', OneInvitation),
    async (c) => {
      await service.revokeInvitation(c.var.context, c.req.valid('param'))
      return c.body(null, 204)
    },
  )

/** Mounted at /v1/organizations/:organization/workspaces/:workspace/invitations. */
export const workspaceInvitationRoutes = router()
  .get(
    '/',
    permit('workspace:member:manage'),
    answers(200, pageOf(Invitation), 'List invitations to a workspace alone, newest first'),
    validate('query', ListInvitations),
    async (c) => {
      const input = { workspaceId: c.var.workspaceId, ...c.req.valid('query') }
      return c.json(await service.listWorkspaceInvitations(c.var.context, input))
    },
  )
  .post(
    '/',
    permit('workspace:member:manage'),
    answers(201, Invitation, 'Invite somebody by e-mail, to a workspace alone'),
    validate('json', CreateWorkspaceInvitation),
    sending,
    async (c) => {
      const input = { workspaceId: c.var.workspaceId, ...c.req.valid('json') }
      const invitation = await service.inviteToWorkspace(c.var.context, input)
      return c.json(invitation, 201, etag(invitation))
    },
  )
  .post(
    '/:invitation/resend',
    permit('workspace:member:manage'),
    answers(200, Invitation, 'Send the mail again, with another token'),
    validate('param', OneInvitation),
    sending,
    resending,
    async (c) => {
      const one = { workspaceId: c.var.workspaceId, ...c.req.valid('param') }
      return c.json(await service.resendWorkspaceInvitation(c.var.context, one))
    },
  )
  .delete(
    '/:invitation',
    permit('workspace:member:manage'),
    answers(204, null, 'Revoke an invitation to a workspace alone'),
    validate('param', OneInvitation),
    async (c) => {
      const one = { workspaceId: c.var.workspaceId, ...c.req.valid('param') }
      await service.revokeWorkspaceInvitation(c.var.context, one)
      return c.body(null, 204)
    },
  )

/** Mounted at /v1/invitations. */
export const acceptRoutes = router().post(
  '/accept',
  permitEveryone('the token of the invitation and the verified address of the caller say enough'),
  answers(200, Accepted, 'Join with the token of an invitation'),
  validate('json', Token),
  limited('invitation-accept', { quota: 20, windowSeconds: 60, of: perSubject }),
  async (c) => c.json(await service.acceptInvitation(c.var.context, c.req.valid('json'))),
)

/** Mounted at /v1/invitations, for callers without an account, too. */
export const declineRoutes = router().post(
  '/decline',
  permitEveryone('the token of the invitation says enough'),
  answers(204, null, 'Decline an invitation'),
  validate('json', Token),
  limited('invitation-decline', {
    ...{ quota: 20, quotaOfUnknown: 600, windowSeconds: 60 },
    of: perNetwork,
  }),
  async (c) => {
    await service.declineInvitation(c.var.context, c.req.valid('json'))
    return c.body(null, 204)
  },
)
