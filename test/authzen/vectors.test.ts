import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createEngine, type Difference } from '../../src/engine/engine.ts'
import { readShipped } from '../../src/platform/node/files.ts'
import { skipped } from '../support/provided.ts'
import {
  type Doors,
  type Listening,
  loadCertification,
  loadCitadel,
  startListening,
} from './fixtures.ts'
import { type Case, judge, MISSING, readVectors, send, type Vectors } from './runner.ts'

/** Vectors we answer otherwise on purpose. Each must go on to fail, so that this list stays true. */
const DEVIATIONS: Record<string, string> = {
  'our-rule6-unstored-admin':
    'Rule 6 read literally wants a subject and a record that nobody registered to be allowed because the caller says so. ' +
    'Here what is unknown is denied. No suite sends it.',
}

const vectors = readVectors()
/** The searches are not offered yet. */
const offered = ({ path }: Case) => /\/evaluations?$/.test(path)
const COUNTS: Record<keyof Vectors, number> = {
  todo: 40 + 3,
  gateway: 25,
  certification: 33 + 27,
  supplement: 16,
}
const NAMES = Object.keys(COUNTS) as (keyof Vectors)[]
const casesOf = (name: keyof Vectors) => (vectors?.[name] ?? []).filter(offered)

const runVectors = () => {
  let server: Listening
  const organizations = {} as Record<keyof Vectors, Doors>
  const passed: string[] = []
  const differences: Difference[] = []
  beforeAll(async () => {
    const modelText = await readShipped('model.conf')
    const onDifference = (difference: Difference) => differences.push(difference)
    server = await startListening({
      engine: createEngine({ modelText, verify: 'all', onDifference }),
    })
    organizations.todo = organizations.gateway = await loadCitadel(server)
    organizations.certification = organizations.supplement = await loadCertification(server)
  })
  afterAll(async () => {
    const counted = NAMES.map((name) => {
      const count = passed.filter((each) => each.startsWith(`${name}: `)).length
      return `${name} ${count}/${2 * casesOf(name).length}`
    })
    const listed = Object.keys(DEVIATIONS).join(', ')
    process.stdout.write(
      `AuthZEN vectors, each by key and by path: ${counted.join(', ')} (listed deviation: ${listed})\n`,
    )
    await server.drop()
  })

  test.each(NAMES)('%s has every vector', (name) => {
    expect(casesOf(name)).toHaveLength(COUNTS[name])
  })

  const asked = NAMES.flatMap((name) =>
    (['byKey', 'byPath'] as const).flatMap((door) =>
      casesOf(name).map((vector) => ({ name, door, vector, id: vector.id })),
    ),
  )
  test.each(asked)('$name $door: $id', async ({ name, door, vector, id }) => {
    const faults = judge(vector, await send(organizations[name][door], vector))
    if (id in DEVIATIONS) return expect(faults).toEqual(['decision'])
    expect(faults).toEqual([])
    passed.push(`${name}: ${id} ${door}`)
  })

  test('the index and Casbin decided every one of them alike', () => {
    expect(differences).toEqual([])
  })

  describe.each(['', '/organization'])('the discovery checklist for the base URL%s', (which) => {
    const ask = async () => {
      const base = which === '' ? '' : `/${organizations.certification.slug}`
      const answer = await fetch(`${server.url}/.well-known/authzen-configuration${base}`)
      const metadata = (await answer.json()) as Record<string, unknown>
      return { answer, metadata, identifier: server.url + base }
    }

    test('is answered without a key, as JSON that may be cached', async () => {
      const { answer } = await ask()
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
      expect(answer.headers.get('cache-control')).toMatch(/max-age=\d+/)
    })

    test('names the identifier the client started from', async () => {
      const { metadata, identifier } = await ask()
      expect(metadata.policy_decision_point).toBe(identifier)
    })

    test('names only endpoints that answer, and no member without a value', async () => {
      const { metadata } = await ask()
      const { policy_decision_point: _, ...endpoints } = metadata
      expect(Object.keys(endpoints)).toEqual([
        'access_evaluation_endpoint',
        'access_evaluations_endpoint',
      ])
      for (const url of Object.values(endpoints)) {
        const { status } = await fetch(url as string, { method: 'POST' })
        expect(status).toBe(401)
      }
    })
  })
}

if (vectors) describe('the public vectors, over HTTP', runVectors)
else
  test('the public vectors', (context) => {
    context.skip(skipped(MISSING).skip)
  })
