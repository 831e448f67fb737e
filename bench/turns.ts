import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Shot } from './answers.ts'
import type { Order, Volley } from './cannon.ts'
import { CORE, processorMs, startProcess, stopProcess } from './processes.ts'

/** One server, one path, one list of requests. */
export type Contestant = {
  readonly name: string
  readonly pid: number
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly shots: readonly Shot[]
  /** Decisions each answer holds; 1 unless it is a batch. */
  readonly decisions?: number
}

/** What one turn of one contestant gave. */
export type Turn = {
  readonly requestsPerSecond: number
  /** Microseconds of the server's processor time for each answer. */
  readonly processorUs: number
  /** The share of one core that the server used: what is missing to 1 it waited for the load generator. */
  readonly busy: number
  readonly volley: Volley
}

export type TurnOptions = {
  readonly turns: number
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly connections: number
  readonly onTurn?: (turn: number, name: string) => void
}

/** The process that asks, kept to its core unless said otherwise. */
export const startCannon = (core: number | null = CORE.load) => {
  const program = fileURLToPath(new URL('./cannon.ts', import.meta.url))
  const child = startProcess(core, [process.execPath, program], { ipc: true })
  child.stderr?.pipe(process.stderr)
  child.stdout?.resume()
  const order = (what: Order) => child.send(what)
  const fire = async (name: string, seconds: number): Promise<Volley> => {
    order({ fire: name, seconds })
    const [volley] = await once(child, 'message')
    return volley as Volley
  }
  return { order, fire, stop: () => stopProcess(child) }
}

export type Cannon = ReturnType<typeof startCannon>

const turnOf = async (
  cannon: Cannon,
  { pid, name }: Contestant,
  seconds: number,
): Promise<Turn> => {
  const before = processorMs(pid)
  const volley = await cannon.fire(name, seconds)
  const spentMs = processorMs(pid) - before
  return {
    requestsPerSecond: volley.answers / volley.seconds,
    processorUs: (1000 * spentMs) / volley.answers,
    busy: spentMs / 1000 / volley.seconds,
    volley,
  }
}

/** Lets contestants take turns: A, B, C, A, B, C, … @throws for one wrong or failed answer */
export const takeTurns = async (
  cannon: Cannon,
  contestants: readonly Contestant[],
  { turns, seconds, warmUpSeconds, connections, onTurn }: TurnOptions,
): Promise<Map<string, Turn[]>> => {
  const taken = new Map<string, Turn[]>(contestants.map(({ name }) => [name, []]))
  for (const { name, url, headers = {}, shots } of contestants) {
    const target = {
      url,
      headers: { 'content-type': 'application/json', ...headers },
      shots,
      connections,
    }
    cannon.order({ aim: name, target })
  }
  for (let turn = 1; turn <= turns; turn++)
    for (const contestant of contestants) {
      const { name } = contestant
      onTurn?.(turn, name)
      const warmUp = await cannon.fire(name, warmUpSeconds)
      const measured = await turnOf(cannon, contestant, seconds)
      for (const { wrong, failed } of [warmUp, measured.volley])
        if (wrong + failed > 0)
          throw new Error(`${name}: ${wrong} wrong answers, ${failed} failed requests`)
      taken.get(name)!.push(measured)
    }
  return taken
}
