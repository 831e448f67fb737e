import { styleText } from 'node:util'
import { Command } from 'commander'
import { DEMO } from '../demo.ts'
import { type Running, start } from '../node.ts'
import { readConfig } from '../platform/config.ts'

const curl = ({ url }: Running, key: string, subject: string) =>
  [
    `curl -s ${url}/check -H 'authorization: Bearer ${key}' -H 'content-type: application/json' \\`,
    `  -d '{"organization":"${DEMO}","subject":"${subject}","permission":"scenario:execute","resource":"scenario:welcome"}'`,
  ].join('\n')

/** What a person sees when the server is ready: where it is, its first key, and two lines to paste. */
export const bannerOf = (running: Running): string => {
  const { url, version, database, adminKey, demo } = running
  const key = adminKey ?? '$LATCHKEY_KEY'
  const lines = [
    `${styleText('bold', `Latchkey ${version}`)}, on ${database === 'embedded' ? 'embedded storage' : 'its database server'}`,
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

/** Milliseconds that connections get to close by themselves once everything is done. */
const LINGER_MS = 1000

/** `latchkey serve`: runs until it is told to stop, then finishes what is in flight. */
export const serveCommand = () =>
  new Command('serve')
    .description('Run the server (settings: docs/settings.md)')
    .action(async () => {
      const running = await start(readConfig(process.env))
      process.stdout.write(bannerOf(running))
      await new Promise<void>((resolve) => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
      })
      await running.stop()
      // All is written and let go of. A driver that waits for a server which is away must not keep the process.
      setTimeout(() => process.exit(), LINGER_MS).unref()
    })
