import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { EVENTS, messageOf, PATTERNS, patternsOf } from '../../src/webhooks/event.ts'

/** Events that no webhook is told of, and why. */
const UNTOLD = new Set([
  'access.denied', // a refusal, no change
  'organization.created', // before it nobody could ask to be told
  'organization.ended', // the webhooks end with it
  'job.deleted', // of the platform, as those below
])
/** What happens to nouns of the platform stands in the platform's log. */
const OF_THE_PLATFORM =
  /^(?:packs|permission|resource-type|job-limits|jobs|queue|schedule|cache|category|optimizer|index|advice)\./
const isTold = (event: string) => !UNTOLD.has(event) && !OF_THE_PLATFORM.test(event)

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(`${ROOT}/${path}`, 'utf8')

/** Every event that the source names. */
const written = () => {
  const found = globSync('src/**/*.ts', { cwd: ROOT }).flatMap((path) =>
    (read(path).match(/\bevent:[^,\n]*/g) ?? []).flatMap(
      (member) => member.match(/(?<=')[a-z-]+\.[a-z-]+(?=')/g) ?? [],
    ),
  )
  return new Set(found)
}

// A new event belongs into EVENTS and the guide, or into UNTOLD.
test('are all that the source writes into the log of an organization, and no others', () => {
  const told = [...written()].filter(isTold).toSorted()
  expect(told.length).toBeGreaterThan(30)
  expect(EVENTS.toSorted()).toEqual(told)
})

test('stand in the guide, each of them', () => {
  const guide = read('docs/webhooks.md')
  expect(EVENTS.filter((event) => !guide.includes(`\`${event}\``))).toEqual([])
})

test('are named by themselves, by their noun, or all at once', () => {
  expect(patternsOf('grant.created')).toEqual(['grant.created', 'grant.*', '*'])
  for (const pattern of ['*', 'grant.*', 'api-key.revoked']) expect(PATTERNS).toContain(pattern)
  expect(PATTERNS).not.toContain('grants.*')
})

test('become CloudEvents', () => {
  const event = {
    id: 'evt_1',
    log: 'org_1',
    at: '2026-01-02T03:04:05.678Z',
    actor: 'user:alice',
    event: 'grant.created',
    resource: 'grant:grt_1',
    workspaceId: null,
    subject: 'user:bob',
    before: null,
    after: { role: 'viewer' },
    reason: null,
    requestId: 'req-1',
    revision: 7,
  }
  expect(JSON.parse(messageOf(event, 'https://latchkey.example.com'))).toEqual({
    specversion: '1.0',
    id: 'evt_1',
    source: 'https://latchkey.example.com/organizations/org_1',
    type: 'latchkey.grant.created',
    subject: 'grant:grt_1',
    time: '2026-01-02T03:04:05.678Z',
    datacontenttype: 'application/json',
    data: {
      organizationId: 'org_1',
      workspaceId: null,
      actor: 'user:alice',
      subject: 'user:bob',
      resource: 'grant:grt_1',
      before: null,
      after: { role: 'viewer' },
      reason: null,
      requestId: 'req-1',
      revision: 7,
    },
  })
})
