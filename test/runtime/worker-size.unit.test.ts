import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const WRANGLER = 'node_modules/wrangler/bin/wrangler.js'

/** What a Worker of a free account may have, compressed; the largest is ten times that. */
const GZIP_BYTES_MAX = 1_000_000

type Metafile = {
  outputs: { [path: string]: { inputs: { [path: string]: { bytesInOutput: number } } } }
}

/** Bundles the Worker as a deployment would, without a network. */
const bundle = async (folder: string) => {
  const metafile = join(folder, 'metafile.json')
  const args = ['deploy', '--dry-run', '--outdir', folder, '--metafile', metafile]
  await promisify(execFile)(process.execPath, [WRANGLER, ...args], {
    cwd: ROOT,
    env: {
      ...process.env,
      WRANGLER_SEND_METRICS: 'false',
      WRANGLER_LOG_PATH: folder,
      CI: 'true',
      NO_COLOR: '1',
    },
  })
  const script = await readFile(join(folder, 'worker.js'))
  const meta = JSON.parse(await readFile(metafile, 'utf8')) as Metafile
  return { script, meta }
}

/** Bytes in the bundle by package, or by folder of ours. */
const partsOf = ({ outputs }: Metafile) => {
  const bytes = new Map<string, number>()
  for (const { inputs } of Object.values(outputs))
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const [, name] = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path) ?? []
      const part = name ?? path.split('/').slice(0, 2).join('/')
      bytes.set(part, (bytes.get(part) ?? 0) + bytesInOutput)
    }
  return [...bytes].sort(([, a], [, b]) => b - a)
}

test('the Worker is small enough for a free account', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-size-'))
  try {
    const { script, meta } = await bundle(folder)
    const { byteLength: compressed } = await promisify(gzip)(script)
    const largest = partsOf(meta)
      .slice(0, 5)
      .map(([part, bytes]) => `${part} ${bytes}`)
    process.stdout.write(
      `the Worker: ${compressed} bytes gzip, ${script.byteLength} in all; largest: ${largest.join(', ')}\n`,
    )
    expect(largest).toHaveLength(5)
    expect(compressed).toBeLessThanOrEqual(GZIP_BYTES_MAX)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}, 60_000)
