import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../log.ts'
import type { SendMail } from '../mail/mail.ts'
import { composeMessage } from '../mail/smtp.ts'

/**
 * Where there is no mail server, letters are written into a folder as `.eml` files. In development their link stands in the
 * log as well, so that a newcomer needs nothing; in production it never does.
 */
export const createOutbox = ({
  folder,
  from,
  log,
  showsLinks,
}: {
  folder: string
  from: string
  log: Log
  showsLinks: boolean
}): SendMail => {
  return async (mail) => {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, `${mail.id}.eml`)
    await writeFile(path, await composeMessage(from, mail), { mode: 0o600 })
    const link = showsLinks ? /https?:\/\/\S+/.exec(mail.text)?.[0] : undefined
    log.info({ path, link }, 'a mail was written into the outbox (no SMTP_URL)')
  }
}
