import * as v from 'valibot'
import type { Context } from '../platform/context.ts'
import { sha256, toBase64Url } from '../platform/crypto/hash.ts'
import { noteInOrganization } from '../platform/db/transaction.ts'
import { jobType } from '../platform/jobs/job-type.ts'
import { type SendMail, writeMail } from '../platform/mail/mail.ts'
import { getBranding } from '../settings/service.ts'
import * as repository from './repository.ts'

/** The mail of an invitation. It makes the token, so that no table and no queue ever holds it. */
export const sendInvitation = jobType(
  'invitations.send',
  'email',
  v.strictObject({ invitation: v.string() }),
)

export type MailOptions = {
  send: SendMail
  /** Where people accept, with `{token}` in it. */
  invitationUrl: string
}

/** Milliseconds an invitation can be accepted, from the last mail on: seven days. */
export const VALID_MS = 7 * 24 * 60 * 60 * 1000
const TOKEN_BYTES = 32

/**
 * Rotates the token of a pending invitation and sends it. A run that is repeated makes another token: a mail that did go
 * out before is then worth nothing, and the last one is right.
 */
export const mailInvitation = async (
  context: Context,
  { send, invitationUrl }: MailOptions,
  id: string,
): Promise<{ sent: boolean }> => {
  const token = toBase64Url(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)))
  const tokenHash = await sha256(token)
  const expiresAt = new Date(context.now().getTime() + VALID_MS)
  // No change of the organization: it raises no revision and leaves no event of its own.
  const row = await noteInOrganization(context, (tx) =>
    repository.rotateToken(tx, { id, tokenHash, expiresAt }),
  )
  if (!row) return { sent: false }
  const branding = await getBranding(context)
  await send(
    await writeMail({
      id: `${row.id}.${row.sentCount}`,
      to: row.email,
      subject: `You are invited to ${branding.name}`,
      branding,
      paragraphs: [
        `You are invited to join ${branding.name}.`,
        `The invitation is for ${row.email} and can be accepted until ${expiresAt.toISOString().slice(0, 10)}.`,
      ],
      action: { label: 'Accept the invitation', url: invitationUrl.replace('{token}', token) },
      footer: 'If you did not expect this, you need not do anything.',
    }),
  )
  return { sent: true }
}
