import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createEngine } from '../../src/engine/engine.ts'
import type { Line, LinePlace } from '../../src/engine/line.ts'
import { modelText } from './agreement.ts'
import { ask, EVERYWHERE, permission, role } from './fixtures.ts'

// Four organizations of a code host as they are, with nested teams, and 5,000 questions with their answers.
// The data stands beside the repository, not in it.

const folder = new URL('../../../shared/data/github-orgs/', import.meta.url)
const isPresent = existsSync(folder)

type Team = {
  readonly name: string
  readonly parent: string | null
  readonly maintainers: readonly string[]
  readonly members: readonly string[]
  readonly repos: Readonly<Record<string, string>>
}

type Organization = {
  readonly slug: string
  readonly admins: readonly string[]
  readonly members: readonly string[]
  readonly defaultPermission: 'read' | 'none'
  readonly repos: readonly string[]
  readonly teams: readonly Team[]
}

type Check = {
  readonly organization: string
  readonly user: string
  readonly permission: string
  readonly repository: string
  readonly allowed: boolean
}

const LEVELS = ['read', 'triage', 'write', 'maintain', 'admin']

const platformLines = (): Line[] =>
  LEVELS.flatMap((level, at) => [
    permission(`role:${level}`, level, 'repository:*', { place: EVERYWHERE }),
    ...LEVELS.slice(at + 1, at + 2).map((above) =>
      role(`role:${above}`, `role:${level}`, { place: EVERYWHERE }),
    ),
  ])

const linesOf = ({ slug, admins, members, defaultPermission, teams }: Organization): Line[] => {
  const place: LinePlace = { kind: 'organization', organizationId: slug }
  const people = new Set([...admins, ...members])
  const byDefault = defaultPermission === 'none' ? [] : [`role:${defaultPermission}`]
  return [
    ...admins.map((user) => role(`user:${user}`, 'role:admin', { place })),
    ...members.flatMap((user) => byDefault.map((held) => role(`user:${user}`, held, { place }))),
    ...teams.flatMap((team) => [
      ...[...team.maintainers, ...team.members]
        .filter((user) => people.has(user))
        .map((user) => role(`user:${user}`, `team:${team.name}`, { place })),
      ...(team.parent ? [role(`team:${team.name}`, `team:${team.parent}`, { place })] : []),
      ...Object.entries(team.repos).map(([id, level]) =>
        role(`team:${team.name}`, `role:${level}`, { place, resource: { type: 'repository', id } }),
      ),
    ]),
  ]
}

const read = (name: string) => readFileSync(new URL(name, folder), 'utf8')

test.skipIf(!isPresent)('answers 5,000 questions about real organizations', async () => {
  const { organizations }: { organizations: Organization[] } = JSON.parse(
    read('organizations.json'),
  )
  const checks: Check[] = read('checks.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const engine = createEngine({ modelText, verify: 'off' })
  const platform = engine.compilePlatform(platformLines())
  const known = new Map(
    await Promise.all(
      organizations.map(async (organization) => {
        const { slug, repos } = organization
        const policy = await engine.compileOrganization(platform, slug, linesOf(organization))
        return [slug, { policy, repos: new Set(repos) }] as const
      }),
    ),
  )
  const wrong = checks.filter((check) => {
    const { policy, repos } = known.get(check.organization)!
    const question = ask(`user:${check.user}`, check.permission, `repository:${check.repository}`)
    const asked = { ...question, organizationId: check.organization }
    // What does not exist is answered before any line.
    const isAllowed = repos.has(check.repository) && engine.decide(policy, asked).allowed
    return isAllowed !== check.allowed
  })
  expect(checks.length).toBe(5000)
  expect(wrong).toEqual([])
})
