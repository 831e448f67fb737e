import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort, type Served, startServer } from './processes.ts'

const ROOT = fileURLToPath(new URL('../', import.meta.url))

/** Bundles a Worker as a deployment would, without a network; answers the folder it is in. */
const bundle = async (main: string, folder: string) => {
  const given = await readFile(join(ROOT, 'wrangler.toml'), 'utf8')
  const configuration = join(folder, 'wrangler.toml')
  await writeFile(configuration, given.replace(/^main = .*$/m, `main = "${join(ROOT, main)}"`))
  const wrangler = join(ROOT, 'node_modules/wrangler/bin/wrangler.js')
  const outdir = join(folder, 'bundle')
  const args = [wrangler, 'deploy', '--dry-run', '--outdir', outdir, '--config', configuration]
  const environment = { WRANGLER_SEND_METRICS: 'false', WRANGLER_LOG_PATH: folder, CI: 'true' }
  await promisify(execFile)(process.execPath, args, { env: { ...process.env, ...environment } })
  return { outdir, date: /^compatibility_date = "(.*)"$/m.exec(given)![1]! }
}

/** What workerd serves: the bundle, its settings as variables, and the way to a database on this machine. */
const configurationOf = async (
  { outdir, date }: Awaited<ReturnType<typeof bundle>>,
  port: number,
  settings: Record<string, string>,
) => {
  const files = await readdir(outdir)
  const script = files.find((name) => name.endsWith('.js'))!
  const model = files.find((name) => name.endsWith('.conf'))!
  const bindings = Object.entries(settings).map(
    ([name, value]) => `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(value)})`,
  )
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "network", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [
    (name = "${script}", esModule = embed "bundle/${script}"),
    (name = "${model}", text = embed "bundle/${model}"),
  ],
  bindings = [${bindings.join(', ')}],
  compatibilityDate = "${date}",
  compatibilityFlags = ["nodejs_compat"],
  globalOutbound = "network",
);
`
}

/** Serves a Worker with workerd alone: the proxy that `wrangler dev` puts before it costs more than what is measured. */
export const startWorkerdAlone = async (
  main: string,
  settings: Record<string, string>,
): Promise<Served> => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-workerd-'))
  const port = await freePort()
  const configuration = join(folder, 'config.capnp')
  const bundled = await bundle(main, folder)
  await writeFile(configuration, await configurationOf(bundled, port, settings), { mode: 0o600 })
  const server = await startServer(
    [join(ROOT, 'node_modules/workerd/bin/workerd'), 'serve', configuration],
    { env: {}, url: `http://127.0.0.1:${port}`, readyPath: '/readyz', core: null },
  )
  const stop = async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
  return { ...server, stop }
}
