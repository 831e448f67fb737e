import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import PostalMime, { type Email } from 'postal-mime'
import { SMTPServer } from 'smtp-server'
import { until } from './until.ts'

/** A real mail server on the loopback interface that keeps what it is sent. */
export const startMailbox = async () => {
  const mails: Email[] = []
  const state = { refuses: undefined as number | undefined }
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    logger: false,
    onData: (stream, _session, callback) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', async () => {
        if (state.refuses) {
          callback(Object.assign(new Error('no'), { responseCode: state.refuses }))
          return
        }
        mails.push(await PostalMime.parse(Buffer.concat(chunks)))
        callback(null)
      })
    },
  })
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  const { port } = server.server.address() as AddressInfo
  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    state,
    /** The newest mail to an address, once it is there. */
    mailTo: async (address: string, count = 1) => {
      const toThem = () => mails.filter(({ to }) => to?.some((each) => each.address === address))
      await until(() => toThem().length >= count)
      return toThem().at(-1)!
    },
    stop: () => new Promise<void>((resolve) => server.close(resolve)),
  }
}

/** The token in the link of an invitation's mail. */
export const tokenIn = (mail: Email): string => /#([\w-]{43})/.exec(mail.text ?? '')![1]!
