import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** A row of numbers that looks random and is the same each time (mulberry32). */
const numbers = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
}

const KINDS = [
  'slack',
  'httpRequest',
  'webhook',
  'set',
  'code',
  'googleSheets',
  'scheduleTrigger',
  'gmail',
  'if',
]
const LETTERS = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789'

/** What is planted: put together here, so that none of it stands in a file of this repository. */
const secretsOf = (random: () => number): string[] => {
  const text = (length: number, letters = LETTERS) =>
    Array.from({ length }, () => letters[Math.floor(random() * letters.length)]).join('')
  const hex = (length: number) => text(length, '0123456789abcdef')
  return [
    ['xox', 'b-', text(12, '0123456789'), '-', text(12, '0123456789'), '-', text(24)].join(''),
    ['gh', 'p_', text(36)].join(''),
    ['AK', 'IA', text(16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')].join(''),
    ['sk_', 'live_', text(24)].join(''),
    ['SG', '.', text(22), '.', text(43)].join(''),
    ['Bearer ', hex(40)].join(''),
  ]
}

export type Planted = { file: string; kind: 'good' | 'broken' | 'refused'; secrets: string[] }

type Sort = readonly [kind: Planted['kind'], write: (workflow: object) => string]

const SORTS: readonly Sort[] = [
  ['good', (workflow) => JSON.stringify(workflow)],
  ['good', (workflow) => `\uFEFF${JSON.stringify(workflow, undefined, 2)}`],
  ['good', (workflow) => JSON.stringify({ id: 7, workflow })],
  ['good', (workflow) => JSON.stringify({ ...workflow, name: '' })],
  ['good', (workflow) => JSON.stringify({ ...workflow, name: '🧪 \u202e x'.repeat(60) })],
  ['good', (workflow) => JSON.stringify(workflow).replace('"settings"', '"__proto__"')],
  [
    'good',
    (workflow) => JSON.stringify({ ...workflow, tags: [{ name: 'Häuser & Co' }, 'Ops', 7] }),
  ],
  ['broken', (workflow) => JSON.stringify(workflow).slice(0, -3)],
  ['broken', () => ''],
  ['broken', () => '[1, 2]'],
  ['broken', () => '{"nodes": "many"}'],
  ['broken', () => 'PK\u0003\u0004 no text at all \u0000'],
  ['refused', () => `{"nodes":[],"a":${'['.repeat(3000)}${']'.repeat(3000)}}`],
  ['refused', (workflow) => JSON.stringify({ ...workflow, nodes: Array(2001).fill({}) })],
  ['refused', (workflow) => JSON.stringify({ ...workflow, text: '\ud800' })],
  ['refused', (workflow) => JSON.stringify({ ...workflow, text: 'x'.repeat(1_100_000) })],
]

/** Writes so many workflow files of all sorts: good ones twice as often as others, half of them with a secret in them. */
export const writeWorkflows = async (folder: string, count: number): Promise<Planted[]> => {
  const random = numbers(count)
  const good = SORTS.filter(([kind]) => kind === 'good')
  const planted: Planted[] = []
  for (let at = 0; at < count; at++) {
    // Each sort at least once, then mostly good ones.
    const [kind, write] =
      SORTS[at] ?? (random() < 0.9 ? good : SORTS)[Math.floor(random() * good.length)]!
    const known = secretsOf(random)
    const secrets = random() < 0.5 ? [known[at % known.length]!] : []
    const nodes = Array.from({ length: 1 + Math.floor(random() * 12) }, (_, node) => ({
      ...{ id: `n${node}`, name: `Node ${node}`, typeVersion: 1, position: [node * 200, 0] },
      type: `n8n-nodes-base.${KINDS[Math.floor(random() * KINDS.length)]}`,
      parameters: {
        url: `https://api${node}.example.com/v1`,
        ...(node === 0 && secrets[0] ? { note: 'x', value: secrets[0] } : {}),
      },
      ...(random() < 0.3
        ? {
            credentials: {
              slackApi: { id: String(Math.floor(random() * 99)), name: 'Slack of us' },
            },
          }
        : {}),
      ...(random() < 0.1 ? { webhookId: crypto.randomUUID() } : {}),
    }))
    const workflow = {
      ...{ name: `Workflow ${at}`, nodes, connections: {}, settings: {}, active: false },
      ...{ pinData: { 'Node 0': [{ json: { mail: 'someone@example.com' } }] } },
      meta: { instanceId: 'f'.repeat(64) },
    }
    const file = join(`part-${at % 7}`, `${at}.json`)
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await writeFile(join(folder, file), write(workflow))
    planted.push({ file, kind, secrets: kind === 'good' ? secrets : [] })
  }
  return planted
}
