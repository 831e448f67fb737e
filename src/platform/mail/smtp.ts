import { createTransport } from 'nodemailer'
import { Fatal } from '../jobs/handler.ts'
import type { Mail, SendMail } from './mail.ts'

/** Milliseconds a mail server has to greet, and to answer each command. */
const GREETING_MS = 10_000
const ANSWER_MS = 20_000

/** Domain part of message ids: ours, whoever sends. */
const ID_DOMAIN = 'mail.latchkey'

const messageOf = (from: string, { id, to, subject, text, html }: Mail) => ({
  from,
  // An object, so that nothing in the address is read as a second one.
  to: { name: '', address: to },
  subject,
  text,
  html,
  messageId: `<${id}@${ID_DOMAIN}>`,
  headers: { 'Auto-Submitted': 'auto-generated' },
  // Nothing of a letter may name a file or a URL to be read by the server.
  disableFileAccess: true,
  disableUrlAccess: true,
})

/** A mail server (RFC 5321). What it refuses for good (5xx) is not tried again. */
export const createSmtp = ({ url, from }: { url: string; from: string }) => {
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: 2,
    connectionTimeout: GREETING_MS,
    greetingTimeout: GREETING_MS,
    socketTimeout: ANSWER_MS,
  } as object)
  const send: SendMail = async (mail) => {
    try {
      await transport.sendMail(messageOf(from, mail))
    } catch (error) {
      const { responseCode, command } = error as { responseCode?: number; command?: string }
      const isFinal = responseCode !== undefined && responseCode >= 500 && command !== 'AUTH'
      // Of what the server said only the code: its text may repeat the address.
      const reason = `the mail server ${responseCode ? `answered ${responseCode}` : 'could not be reached'}`
      throw isFinal ? new Fatal(reason) : new Error(reason)
    }
  }
  return { send, stop: () => transport.close() }
}

/** A letter as a file that mail programs open (RFC 5322). */
export const composeMessage = async (from: string, mail: Mail): Promise<Buffer> => {
  const transport = createTransport({ streamTransport: true, buffer: true })
  const { message } = await transport.sendMail(messageOf(from, mail))
  return message as Buffer
}
