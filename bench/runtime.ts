import { until } from '../test/support/until.ts'
import { createAsker } from './ask.ts'
import { openLoaded } from './databases.ts'
import type { KnownQuestion } from './dataset.ts'
import { type Figure, median, ratioOf, spreadOf } from './figures.ts'
import { AUTHORIZATION, askAll, shotOf, startLatchkey, untilNoticed } from './latchkey.ts'
import { installRoles } from './load.ts'
import { sizesOfMix } from './mix.ts'
import { step } from './progress.ts'
import { type Cannon, type Contestant, startCannon, type Turn, takeTurns } from './turns.ts'
import { startWorkerdAlone } from './workerd.ts'

export type RuntimeAmount = {
  grants: number
  questions: number
  turns: number
  seconds: number
  /** To the servers of Node, at once; workerd is asked over one connection, and over a quarter of these. */
  connections: number
}

/** Nothing is kept to a core: what several processes gain on all cores is what is measured. */
const EVERYWHERE = null

const rates = (turns: readonly Turn[]) => turns.map(({ requestsPerSecond }) => requestsPerSecond)
const p50s = (turns: readonly Turn[]) => turns.map(({ volley }) => volley.p50Ms)
const p99s = (turns: readonly Turn[]) => turns.map(({ volley }) => volley.p99Ms)

const figuresOf = (name: string, turns: readonly Turn[]): Figure[] => {
  const answers = turns.reduce((sum, { volley }) => sum + volley.answers, 0)
  const note = `${answers.toLocaleString('en')} answers, 0 wrong, 0 failed`
  return [
    spreadOf(`${name}: requests`, '/s', rates(turns), { note }),
    spreadOf(`${name}: p50`, 'ms', p50s(turns)),
    spreadOf(`${name}: p99`, 'ms', p99s(turns)),
  ]
}

const measured = async (
  cannon: Cannon,
  contestants: readonly Contestant[],
  amount: RuntimeAmount,
  connections: number,
) => {
  const { turns, seconds } = amount
  const turning = step(`turns, ${connections} connections`, turns * contestants.length)
  let taken = 0
  const options = { turns, seconds, warmUpSeconds: 1, connections }
  const onTurn = (turn: number, name: string) => turning.at(taken++, `turn ${turn}: ${name}`)
  const all = await takeTurns(cannon, contestants, { ...options, onTurn })
  turning.done()
  return all
}

type Loaded = Awaited<ReturnType<typeof openLoaded>>

const hasWorkers = async (url: string, count: number) =>
  (await (await fetch(`${url}/metrics`)).text()).includes(`latchkey_workers ${count}\n`)

/** One process and two, both running all the time, asked in turns. */
const benchWorkers = async (
  cannon: Cannon,
  { settings, mix, sql }: Loaded,
  amount: RuntimeAmount,
) => {
  const shared = { ...settings, JOB_QUEUES: 'none' }
  const one = await startLatchkey(shared, { core: EVERYWHERE })
  const two = await startLatchkey(shared, { core: EVERYWHERE, args: ['--workers', '2'] })
  try {
    // Ready is a server whose first worker is; each start of one takes the roles of the mix away.
    await until(() => hasWorkers(two.url, 2), 60_000)
    await installRoles(sql)
    await untilNoticed()
    await warm([one.url, two.url], mix.questions, amount.connections)
    const shots = mix.questions.map(shotOf)
    const contestants = [
      { name: 'one process', pid: one.pid, url: `${one.url}/check`, headers: AUTHORIZATION, shots },
      { name: '--workers 2', pid: two.pid, url: `${two.url}/check`, headers: AUTHORIZATION, shots },
    ]
    const taken = await measured(cannon, contestants, amount, amount.connections)
    const [alone, both] = contestants.map(({ name }) => taken.get(name)!) as [Turn[], Turn[]]
    const over = `/check over ${amount.connections} connections`
    return [
      ratioOf(`${over}, --workers 2 to one process, requests/s`, rates(both), rates(alone), {
        note: 'the load generator takes a part of the same cores',
      }),
      ...contestants.flatMap(({ name }) => figuresOf(`${over}, ${name}`, taken.get(name)!)),
    ]
  } finally {
    await one.stop()
    await two.stop()
  }
}

/** `/check` in workerd beside a no-op in the same isolate. */
const benchWorkerd = async (cannon: Cannon, { settings, mix }: Loaded, amount: RuntimeAmount) => {
  const worker = await startWorkerdAlone('bench/edge.ts', {
    DATABASE_URL: settings.DATABASE_URL!,
    ...{ AUDIT_MAC_KEY: '07'.repeat(32), DATA_KEY: '08'.repeat(32), DEFAULT_PLAN: 'custom' },
  })
  try {
    const answers = await warm([worker.url], mix.questions, 16)
    const bytes = Math.round(median(answers.map(({ length }) => length)))
    const padding = bytes - '{"allowed":true,"padding":""}'.length
    const shots = mix.questions.map(shotOf)
    const any = shots.map(({ body }) => ({ body, expect: '"allowed"', times: 1 }))
    const at = { pid: worker.pid, headers: AUTHORIZATION }
    const contestants = [
      { ...at, name: 'no-op', url: `${worker.url}/nothing?bytes=${padding}`, shots: any },
      { ...at, name: '/check', url: `${worker.url}/check`, shots },
    ]
    const figures: Figure[] = []
    for (const connections of [1, Math.ceil(amount.connections / 4)]) {
      const taken = await measured(cannon, contestants, amount, connections)
      const [nothing, check] = contestants.map(({ name }) => taken.get(name)!) as [Turn[], Turn[]]
      const over = `workerd, ${connections} ${connections === 1 ? 'connection' : 'connections'}`
      figures.push(
        ratioOf(`${over}, /check to no-op, p50`, p50s(check), p50s(nothing), {}),
        ratioOf(`${over}, /check to no-op, p99`, p99s(check), p99s(nothing), {}),
        ratioOf(`${over}, /check to no-op, requests/s`, rates(check), rates(nothing), {}),
        ...contestants.flatMap(({ name }) => figuresOf(`${over}, ${name}`, taken.get(name)!)),
      )
    }
    return figures
  } finally {
    await worker.stop()
  }
}

/** Asks all on several connections, twice, so that each process has it in memory; answers what was said. */
const warm = async (
  urls: readonly string[],
  known: readonly KnownQuestion[],
  connections: number,
) => {
  const answers: string[] = []
  for (const url of [...urls, ...urls]) {
    const asker = createAsker(AUTHORIZATION, connections)
    answers.push(...(await askAll(asker, url, known)))
    asker.close()
  }
  return answers
}

/** All cores of one machine, and the other runtime. */
export const benchRuntime = async (
  postgresUrl: string,
  amount: RuntimeAmount,
): Promise<Figure[]> => {
  const sizes = sizesOfMix(amount.grants)
  const wanted = { name: 'bench_runtime', sizes, questions: amount.questions, batches: 0, once: 0 }
  const loaded = await openLoaded({ ...wanted, postgresUrl })
  const cannon = startCannon(EVERYWHERE)
  try {
    return [
      ...(await benchWorkers(cannon, loaded, amount)),
      ...(await benchWorkerd(cannon, loaded, amount)),
    ]
  } finally {
    await cannon.stop()
    await loaded.stop()
  }
}
