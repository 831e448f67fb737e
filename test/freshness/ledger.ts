import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises'
import type { TestServer } from '../support/server.ts'

/** What was seen of many rounds in which somebody is given a role and loses it again. */
export type Races = {
  rounds: number
  /** Questions that were asked after a revoke had returned, and how many were allowed though they must not be. */
  asked: number
  staleWithToken: number
  staleAfterBound: number
  staleOnTheWriter: number
  /** Milliseconds from the revoke's answer to the first denial on each other node. */
  toDenyMs: number[]
}

type Options = {
  nodes: readonly TestServer[]
  /** Milliseconds after which every node must deny, told or not. */
  boundMs: number
  rounds: number
  /** Organizations that are changed at the same time. */
  lanes: number
}

/** The state of one lane, as its writer knows it: odd while the role is being given or held, even once it is surely gone. */
type Lane = { path: string; slug: string; phase: number; revokedAtMs: number }

/**
 * Rounds of giving and revoking on random nodes, while every node is asked all the time without a token, so that loads race
 * with revokes. An answer counts as stale where the question began after the revoke had returned and carried its token, or
 * after the bound, and the role was not given again before the answer came.
 */
export const race = async ({ nodes, boundMs, rounds, lanes }: Options): Promise<Races> => {
  const seen: Races = {
    rounds: 0,
    asked: 0,
    staleWithToken: 0,
    staleAfterBound: 0,
    staleOnTheWriter: 0,
    toDenyMs: [],
  }
  let ended = false
  const pick = () => nodes[Math.floor(Math.random() * nodes.length)]!

  const ask = async (node: TestServer, { slug }: Lane, consistency?: object | 'full') => {
    seen.asked++
    const { status, body } = await node.call('POST /check', {
      organization: slug,
      subject: 'user:bob',
      permission: 'scenario:read',
      ...(consistency ? { consistency } : {}),
    })
    // What cannot be decided in time is no allow.
    return status === 200 && body.allowed === true
  }

  /** Asks one node about one lane over and over, and holds each allow against what was known when it was asked. */
  const hammer = async (node: TestServer, own: readonly Lane[]) => {
    while (!ended) {
      const lane = own[Math.floor(Math.random() * own.length)]!
      const [phase, revokedAtMs, startedAtMs] = [lane.phase, lane.revokedAtMs, performance.now()]
      const allowed = await ask(node, lane)
      // A warm answer needs no turn of the event loop, and would let nobody else have one.
      await immediate()
      if (!allowed || phase % 2 === 1 || lane.phase !== phase) continue
      if (startedAtMs - revokedAtMs > boundMs) seen.staleAfterBound++
    }
  }

  const turn = async (lane: Lane) => {
    lane.phase++
    await pick().call(`PUT ${lane.path}/members/bob`, { roles: ['viewer'] })
    // Half of the rounds have it in memory somewhere.
    if (Math.random() < 0.5) await Promise.all(nodes.map((node) => ask(node, lane)))
    const writer = pick()
    const { status, revision } = await writer.call(`PUT ${lane.path}/members/bob`, { roles: [] })
    if (status !== 200 || !revision) throw new Error(`a revoke was answered with ${status}`)
    lane.revokedAtMs = performance.now()
    lane.phase++
    const withToken = nodes.map((node) => ask(node, lane, { atLeast: revision }))
    seen.staleOnTheWriter += (await ask(writer, lane)) ? 1 : 0
    seen.staleWithToken += (await Promise.all(withToken)).filter(Boolean).length
    seen.rounds++
  }

  /** How long each other node goes on allowing what it knows to be given, where nobody shows it the token of the revoke. */
  const timed = async (lane: Lane) => {
    const writer = pick()
    lane.phase++
    await writer.call(`PUT ${lane.path}/members/bob`, { roles: ['viewer'] })
    await Promise.all(nodes.map((node) => ask(node, lane, 'full')))
    await writer.call(`PUT ${lane.path}/members/bob`, { roles: [] })
    lane.revokedAtMs = performance.now()
    lane.phase++
    const others = nodes.filter((node) => node !== writer)
    await Promise.all(
      others.map(async (other) => {
        const untilMs = lane.revokedAtMs + 10 * boundMs
        while ((await ask(other, lane)) && performance.now() < untilMs) await sleep(0)
        seen.toDenyMs.push(performance.now() - lane.revokedAtMs)
      }),
    )
    seen.rounds++
  }

  const prepared = await Promise.all(
    Array.from({ length: lanes }, async (): Promise<Lane> => {
      const { path, slug } = await nodes[0]!.newOrganization()
      await nodes[0]!.call(`PUT ${path}/members/bob`, { roles: [] })
      return { path, slug, phase: 0, revokedAtMs: performance.now() }
    }),
  )
  const hammers = nodes.map((node) => hammer(node, prepared))
  await Promise.all(
    prepared.map(async (lane, index) => {
      while (seen.rounds < rounds) await (index === 0 ? timed(lane) : turn(lane))
    }),
  )
  await sleep(boundMs + 100)
  ended = true
  await Promise.all(hammers)
  return seen
}
