import { startWorkers } from '../../src/platform/jobs/workers.ts'
import { silentLog } from '../../src/platform/log.ts'
import { createSmtp } from '../../src/platform/mail/smtp.ts'
import { startIssuer } from '../support/issuer.ts'
import { startMailbox } from '../support/mailbox.ts'
import { startTestServer } from '../support/server.ts'

/** A server with an issuer of tokens, a mail server and workers. */
export const startWithMail = async () => {
  const [issuer, mailbox] = [await startIssuer(), await startMailbox()]
  const smtp = createSmtp({ url: mailbox.url, from: 'Latchkey <no-reply@latchkey.example>' })
  const server = await startTestServer({
    jwt: issuer.settings,
    sendMail: smtp.send,
    invitationUrl: 'https://app.example/join#{token}',
  })
  const workers = await startWorkers({
    ...server.jobs.runOptions(server.sql),
    log: silentLog,
    version: 'test',
    queues: ['email', 'maintenance'],
    pollMs: 100,
  })
  server.jobs.onWake(workers.wake)
  /** A token of a person whose address is verified. */
  const person = (name: string, email = `${name}@example.com`, isVerified = true) =>
    issuer.tokenOf(name, { email, email_verified: isVerified })
  const stop = async () => {
    await workers.stop(1000)
    smtp.stop()
    await server.drop()
    await mailbox.stop()
    await issuer.stop()
  }
  return { server, issuer, mailbox, workers, person, stop }
}
