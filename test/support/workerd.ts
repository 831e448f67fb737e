import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

const freePort = () =>
  new Promise<number>((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })

export type Workerd = Awaited<ReturnType<typeof startWorkerd>>

/**
 * Starts the server in workerd as `wrangler.toml` says, over a database; with more lines of configuration if given.
 */
export const startWorkerd = async (databaseUrl: string, moreConfiguration = '') => {
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-worker-'))
  const url = `http://127.0.0.1:${port}`
  const configuration = join(folder, 'wrangler.toml')
  const given = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
  const own = given.replace('main = "src/', `main = "${ROOT}src/`)
  await writeFile(configuration, `${own}\n${moreConfiguration}`)
  const args = ['node_modules/wrangler/bin/wrangler.js', 'dev', '--local', '--ip', '127.0.0.1']
  args.push('--config', configuration, '--test-scheduled')
  args.push('--port', String(port), '--inspector-port', String(await freePort()))
  args.push('--persist-to', folder, '--show-interactive-dev-session=false')
  args.push('--var', `DATA_KEY:${'08'.repeat(32)}`)
  args.push('--var', `DATABASE_URL:${databaseUrl}`, '--var', `AUDIT_MAC_KEY:${'07'.repeat(32)}`)
  const worker = spawn(process.execPath, args, {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true', NO_COLOR: '1' },
  })
  let output = ''
  for (const stream of [worker.stdout, worker.stderr])
    stream?.on('data', (chunk) => {
      output += chunk
    })
  const stop = async () => {
    // wrangler starts workerd and esbuild; they are one group, and may be gone already.
    try {
      if (worker.pid) process.kill(-worker.pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  for (let waited = 0; waited < 300; waited++) {
    const status = await fetch(`${url}/healthz`).then(
      (answer) => answer.status,
      () => 0,
    )
    if (status === 200)
      return {
        url,
        stop,
        output: () => output,
        /** Fires the cron trigger and waits until it has run. */
        trigger: async () => {
          const answer = await fetch(`${url}/__scheduled?cron=*+*+*+*+*`)
          if (!answer.ok) throw new Error(`the trigger failed: ${await answer.text()}\n${output}`)
        },
      }
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  await stop()
  throw new Error(`workerd did not start:\n${output}`)
}
