import { styleText } from 'node:util'
import { DEMO } from '../demo.ts'
import type { Furnished } from '../node.ts'

const curl = ({ url }: Furnished, key: string, subject: string) =>
  [
    `curl -s ${url}/check -H 'authorization: Bearer ${key}' -H 'content-type: application/json' \\`,
    `  -d '{"organization":"${DEMO}","subject":"${subject}","permission":"scenario:execute","resource":"scenario:welcome"}'`,
  ].join('\n')

/** What a person sees when the server is ready: where it is, its first key, and two lines to paste. */
export const bannerOf = (running: Furnished, workers = 1): string => {
  const { url, version, database, adminKey, demo } = running
  const key = adminKey ?? '$LATCHKEY_KEY'
  const storage = database === 'embedded' ? 'embedded storage' : 'its database server'
  const lines = [
    `${styleText('bold', `Latchkey ${version}`)}, on ${storage}${workers > 1 ? `, ${workers} workers` : ''}`,
    `${styleText('green', 'ready')} ${url}`,
  ]
  if (adminKey)
    lines.push('', `The first administrator's key, shown once:`, styleText('bold', adminKey))
  if (demo)
    lines.push(
      '',
      'An allow (Alice owns the demo organization) and a deny (Bob only looks):',
      curl(running, key, 'user:alice'),
      curl(running, key, 'user:bob'),
    )
  return `${lines.join('\n')}\n`
}
