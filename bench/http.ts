import { createAsker } from './ask.ts'
import { CERBOS_PATH, grantedShots, startCerbos, staticShots } from './cerbos.ts'
import type { Dataset } from './dataset.ts'
import { type Figure, median, ratioOf, spreadOf } from './figures.ts'
import { AUTHORIZATION, askAll, askBatches, batchShotOf, shotOf } from './latchkey.ts'
import type { Served } from './processes.ts'
import { type Cannon, type Contestant, type Turn, type TurnOptions, takeTurns } from './turns.ts'

/** The running servers that are compared. */
export type Contenders = {
  /** With the whole mix. */
  readonly latchkey: Served
  /** The same program with a hundredth of the grants. */
  readonly small: Served
  readonly baseline: Served
}

type Datasets = { readonly mix: Dataset; readonly small: Dataset }

const ours = (
  served: Served,
  name: string,
  path: string,
  shots: Contestant['shots'],
  decisions = 1,
) => ({
  ...{ name, shots, decisions },
  pid: served.pid,
  url: served.url + path,
  headers: AUTHORIZATION,
})

const processor = (turns: readonly Turn[]) => turns.map(({ processorUs }) => processorUs)
const rate = (turns: readonly Turn[]) => turns.map(({ requestsPerSecond }) => requestsPerSecond)

/** Figures of one contestant: processor time, rate, latency, and how busy its server was. */
const figuresOf = (name: string, turns: readonly Turn[]): Figure[] => {
  const busy = Math.round(100 * median(turns.map((turn) => turn.busy)))
  const p99 = median(turns.map(({ volley }) => volley.p99Ms))
  const answers = turns.reduce((sum, { volley }) => sum + volley.answers, 0)
  const note = `${answers.toLocaleString('en')} answers, 0 wrong, 0 failed`
  return [
    spreadOf(`${name}: server CPU per request`, 'µs', processor(turns), { note }),
    spreadOf(`${name}: requests`, '/s', rate(turns), {
      note: `server busy ${busy} %, p99 ${p99.toFixed(1)} ms`,
    }),
  ]
}

const perSecond = (turns: readonly Turn[], decisions: number) =>
  turns.map(({ processorUs }) => (decisions * 1_000_000) / processorUs)

/** Asks every question once, before anything is timed; sets the constant answers' length. */
const prepare = async ({ latchkey, small, baseline }: Contenders, datasets: Datasets) => {
  const asker = createAsker(AUTHORIZATION, 16)
  const answers = await askAll(asker, latchkey.url, datasets.mix.questions)
  await askAll(asker, small.url, datasets.small.questions)
  await askBatches(asker, latchkey.url, [...datasets.mix.lists, ...datasets.mix.mixed])
  const length = Math.round(median(answers.map((answer) => answer.length)))
  const typical = answers.find((answer) => answer.length === length) ?? answers[0]!
  await asker.ask(`${baseline.url}/answer`, typical, 'PUT')
  asker.close()
}

const askCerbos = async (cerbos: Served, contestants: readonly Contestant[]) => {
  const asker = createAsker({})
  for (const { shots } of contestants)
    for (const { body, expect } of shots.slice(0, 2000)) {
      const { status, text } = await asker.ask(cerbos.url + CERBOS_PATH, body)
      if (status !== 200 || !text.includes(expect))
        throw new Error(`Cerbos answered ${status} ${text}\nto ${body}\nand we say ${expect}`)
    }
  asker.close()
}

const cerbosContestants = (cerbos: Served, { mix }: Datasets): Contestant[] => {
  const at = { pid: cerbos.pid, url: cerbos.url + CERBOS_PATH }
  return [
    { ...at, name: 'Cerbos, static roles', shots: staticShots(mix.questions) },
    { ...at, name: 'Cerbos, grants in the request', shots: grantedShots(mix.questions) },
  ]
}

/** Everything over HTTP, in turns of the same minutes. */
export const benchHttp = async (
  cannon: Cannon,
  contenders: Contenders,
  datasets: Datasets,
  options: TurnOptions,
): Promise<Figure[]> => {
  await prepare(contenders, datasets)
  const cerbos = await startCerbos().catch((error: Error) => {
    console.warn(`Cerbos is left out: ${error.message}`)
  })
  try {
    const peers = cerbos ? cerbosContestants(cerbos, datasets) : []
    if (cerbos) await askCerbos(cerbos, peers)
    const { latchkey, small, baseline } = contenders
    const questions = datasets.mix.questions.map(shotOf)
    const lists = datasets.mix.lists.map(batchShotOf)
    const mixed = datasets.mix.mixed.map(batchShotOf)
    const contestants: Contestant[] = [
      ours(
        baseline,
        'no-op',
        '/nothing',
        questions.map(({ body }) => ({ body, expect: '"allowed"', times: 1 })),
      ),
      ours(
        baseline,
        'same door, no decision',
        '/door',
        questions.map(({ body }) => ({ body, expect: '"allowed"', times: 1 })),
      ),
      ours(latchkey, '/check', '/check', questions),
      ours(
        small,
        '/check, a hundredth of the grants',
        '/check',
        datasets.small.questions.map(shotOf),
      ),
      ours(latchkey, '/check/batch, one subject, 100 resources', '/check/batch', lists, 100),
      ours(latchkey, '/check/batch, 100 full questions', '/check/batch', mixed, 100),
      ...peers,
    ]
    const taken = await takeTurns(cannon, contestants, options)
    return report(contestants, taken)
  } finally {
    await cerbos?.stop()
  }
}

const report = (
  contestants: readonly Contestant[],
  taken: ReadonlyMap<string, Turn[]>,
): Figure[] => {
  const of = (name: string) => taken.get(name)!
  const check = of('/check')
  const times = (name: string, below: string, more: Partial<Figure>) =>
    ratioOf(name, processor(check), processor(of(below)), more)
  return [
    times('/check to no-op, server CPU', 'no-op', { target: 1.2, note: 'stretch 1.10' }),
    times('/check to same door, server CPU', 'same door, no decision', {}),
    times(
      'growth of /check over 100 × the grants, server CPU',
      '/check, a hundredth of the grants',
      { target: 1.15 },
    ),
    ...contestants
      .filter(({ decisions }) => (decisions ?? 1) > 1)
      .map(({ name, decisions }) =>
        spreadOf(`${name}: decisions on one core`, '/s', perSecond(of(name), decisions!), {
          target: 300_000,
          reach: 'at least',
          note: 'by server CPU',
        }),
      ),
    ...contestants
      .filter(({ name }) => name.startsWith('Cerbos'))
      .flatMap(({ name }) => [
        ratioOf(`/check to ${name}, requests/s`, rate(check), rate(of(name)), {
          target: 8,
          reach: 'at least',
        }),
        ratioOf(`${name} to /check, server CPU`, processor(of(name)), processor(check), {}),
      ]),
    ...contestants.flatMap(({ name }) => figuresOf(name, of(name))),
  ]
}
