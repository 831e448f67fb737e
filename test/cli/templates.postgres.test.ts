import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Listening, startListening } from '../authzen/fixtures.ts'
import { runLine } from './console.ts'
import { type Planted, writeWorkflows } from './workflows.ts'

/** Files that are imported; thousands in the long form (npm run chaos). */
const FILES = process.env.LATCHKEY_LONG === 'on' ? 5000 : 150

let server: Listening
let folder: string
let planted: Planted[]
beforeAll(async () => {
  server = await startListening()
  folder = await mkdtemp(join(tmpdir(), 'latchkey-workflows-'))
  planted = await writeWorkflows(join(folder, 'in'), FILES)
})
afterAll(async () => {
  await server.drop()
  await rm(folder, { recursive: true, force: true })
})

type Outcome = { file: string; outcome: string; code?: string; secrets?: number }

test(
  'a directory of workflow files is imported with a report: nothing crashes, secrets become inputs',
  async () => {
    const { slug, id } = await server.newOrganization()
    const report = join(folder, 'report.json')
    const run = () =>
      runLine(['templates', 'import', join(folder, 'in'), '-o', slug, '--report', report], {
        LATCHKEY_URL: server.url,
        LATCHKEY_KEY: server.adminKey,
      })
    const first = await run()
    const outcomes: Outcome[] = JSON.parse(await readFile(report, 'utf8'))
    expect([first.code, outcomes.length]).toEqual([0, FILES])
    const byFile = new Map(outcomes.map((outcome) => [outcome.file, outcome]))
    const EXPECTED = { good: 'imported', broken: 'refused', refused: 'refused' }
    for (const { file, kind, secrets } of planted) {
      const { outcome, code, secrets: found = 0 } = byFile.get(file)!
      expect([file, outcome, code]).toEqual([
        file,
        EXPECTED[kind],
        kind === 'good' ? undefined : code,
      ])
      expect([file, found >= secrets.length]).toEqual([file, true])
      if (kind === 'broken') expect(['no-json', 'no-workflow']).toContain(code)
    }
    const stored = await server.sql<{ definition: string }[]>`
      select v.definition from template_versions v join templates t on t.id = v.template_id where t.organization_id = ${id}`
    const good = planted.filter(({ kind }) => kind === 'good')
    expect(stored).toHaveLength(good.length)
    const everything = stored.map(({ definition }) => definition).join('\n')
    const left = good
      .flatMap(({ secrets }) => secrets)
      .filter((secret) => everything.includes(secret))
    expect(left).toEqual([])
    for (const word of ['someone@example.com', 'f'.repeat(64), 'Slack of us', 'webhookId'])
      expect([word, everything.includes(word)]).toEqual([word, false])
    const planting = good.filter(({ secrets }) => secrets.length > 0).length
    process.stdout.write(
      `${FILES} workflow files: ${stored.length} imported, ${FILES - stored.length} refused and named, ${planting} with a planted secret, ${left.length} left\n`,
    )
    // Once more: what is there already is known, and nothing is doubled.
    await run()
    const again: Outcome[] = JSON.parse(await readFile(report, 'utf8'))
    expect(again.filter(({ outcome }) => outcome === 'imported')).toEqual([])
    expect(again.filter(({ outcome }) => outcome === 'known')).toHaveLength(good.length)
  },
  15 * 60_000,
)

test('a directory without files, and a server that is not there, end with one line', async () => {
  const env = { LATCHKEY_URL: server.url, LATCHKEY_KEY: server.adminKey }
  const none = await runLine(['templates', 'import', `${tmpdir()}/nowhere`, '-o', 'x'], env)
  expect([none.code, none.err]).toMatchObject([
    1,
    expect.stringContaining('there is no .json file'),
  ])
  const away = { ...env, LATCHKEY_URL: 'http://127.0.0.1:9' }
  const alone = await runLine(['templates', 'import', join(folder, 'in'), '-o', 'x'], away)
  expect([alone.code, alone.err]).toMatchObject([1, expect.stringContaining('no server answers')])
})
