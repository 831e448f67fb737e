import { existsSync, readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { serve } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  convert,
  type ForgeOrganization,
  REGISTRATIONS,
  teamSlug,
} from '../../examples/github-orgs/convert.ts'
import { skipped } from '../support/provided.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

type Question = {
  organization: string
  user: string
  permission: string
  repository: string
  allowed: boolean
}

const DATA = fileURLToPath(new URL('../../../shared/data/github-orgs/', import.meta.url))
const isProvided = existsSync(`${DATA}checks.jsonl`)
if (!isProvided) skipped('the organizations in ../shared/data/github-orgs are not here.')

const readData = () => {
  const { organizations } = JSON.parse(readFileSync(`${DATA}organizations.json`, 'utf8')) as {
    organizations: ForgeOrganization[]
  }
  const questions = readFileSync(`${DATA}checks.jsonl`, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Question)
  return { organizations, questions }
}

const tell = (line: string) => process.stdout.write(`${line}\n`)

const checkOf = ({ organization, user, permission, repository }: Question) => ({
  organization,
  subject: `user:${user}`,
  permission: `repo:${permission}`,
  resource: `repo:${repository}`,
})

let server: TestServer
const { organizations, questions } = isProvided
  ? readData()
  : { organizations: [], questions: [] as Question[] }

beforeAll(async () => {
  if (!isProvided) return
  server = await startTestServer()
  for (const { call, body } of REGISTRATIONS)
    expect([200, 201]).toContain((await server.call(call, body)).status)
  for (const organization of organizations) {
    const { slug } = organization
    const owner = 'user:operations'
    await server.call('POST /v1/organizations', { name: slug, slug, owner })
    const { document } = convert(organization)
    const answer = await server.call(`POST /v1/organizations/${slug}/import`, document)
    expect([answer.status, answer.body.errors]).toEqual([200, []])
  }
}, 120_000)
afterAll(() => server?.drop())

describe.skipIf(!isProvided)('four organizations of a code forge', () => {
  test('answer every question as the forge does, one by one', { timeout: 60_000 }, async () => {
    const wrong: unknown[] = []
    let allowed = 0
    for (const question of questions) {
      const { body } = await server.call('POST /check', checkOf(question))
      if (body.allowed) allowed++
      if (body.allowed !== question.allowed) wrong.push({ question, body })
    }
    expect(wrong).toEqual([])
    tell(
      `${questions.length} questions to /check: ${allowed} allowed, ${questions.length - allowed} denied, 0 wrong`,
    )
  })

  test('answer every question as the forge does, in batches', async () => {
    const wrong: unknown[] = []
    for (let at = 0; at < questions.length; at += 1000) {
      const asked = questions.slice(at, at + 1000)
      const { body } = await server.call('POST /check/batch', { checks: asked.map(checkOf) })
      expect(body.results).toHaveLength(asked.length)
      for (const [index, question] of asked.entries())
        if (body.results[index].allowed !== question.allowed)
          wrong.push({ question, result: body.results[index] })
    }
    expect(wrong).toEqual([])
    tell(`${questions.length} questions to /check/batch: 0 wrong`)
  })

  test('answer over HTTP', async () => {
    const http = serve({ fetch: server.app.fetch, hostname: '127.0.0.1', port: 0 })
    await new Promise((resolve) => http.once('listening', resolve))
    try {
      const { port } = http.address() as AddressInfo
      const sample = questions.filter((_, index) => index % 100 === 0)
      for (const question of sample) {
        const response = await fetch(`http://127.0.0.1:${port}/check`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${server.adminKey}`,
            'content-type': 'application/json',
          },
          body: JSON.stringify(checkOf(question)),
        })
        expect([question, await response.json()]).toMatchObject([
          question,
          { allowed: question.allowed },
        ])
      }
      tell(`${sample.length} questions over HTTP: 0 wrong`)
    } finally {
      await new Promise((resolve) => http.close(resolve))
    }
  })

  test('deny whoever is no member, even a member of another organization', async () => {
    const [first] = organizations
    const everybody = new Set([...first!.admins, ...first!.members])
    const outsider = organizations
      .flatMap(({ members }) => members)
      .find((user) => !everybody.has(user))
    for (const user of ['nobody', outsider!]) {
      const question = { organization: first!.slug, user, permission: 'read', allowed: false }
      const repository = first!.repos[0]!
      const { body } = await server.call('POST /check', checkOf({ ...question, repository }))
      expect(body).toMatchObject({ allowed: false, code: 'not-a-member' })
    }
  })

  test('give an admin nothing on a repository of another organization', async () => {
    const [first, second] = organizations
    const { body } = await server.call('POST /check', {
      organization: first!.slug,
      subject: `user:${first!.admins[0]}`,
      permission: 'repo:admin',
      resource: `repo:${second!.repos.find((name) => !first!.repos.includes(name))}`,
    })
    expect(body).toMatchObject({ allowed: false, code: 'unknown-resource' })
  })

  test('come out as they went in', async () => {
    for (const { slug } of organizations) {
      const path = `/v1/organizations/${slug}`
      const { body } = await server.call(`GET ${path}/export`)
      const again = await server.call(`POST ${path}/import`, body)
      expect([again.status, again.body.created, again.body.updated]).toMatchObject([
        200,
        { members: 0, teams: 0, grants: 0 },
        { members: 0, teams: 0, grants: 0 },
      ])
    }
  })
})

const small: ForgeOrganization = {
  slug: 'small',
  admins: ['ada'],
  members: ['ben', 'cem'],
  defaultPermission: 'none',
  repos: ['api', 'web'],
  teams: [
    {
      name: 'Core/Platform',
      parent: null,
      maintainers: ['ben'],
      members: ['ben', 'stranger'],
      repos: { api: 'write', elsewhere: 'admin' },
    },
    { name: 'core/web', parent: 'Core/Platform', maintainers: [], members: ['cem'], repos: {} },
  ],
}

describe('the converter', () => {
  test('keeps outsiders of a team and repositories of others out', () => {
    const { document, omitted } = convert(small)
    expect(document.teams).toEqual([
      {
        slug: 'core-platform',
        name: 'Core/Platform',
        parent: null,
        members: ['ben'],
      },
      { slug: 'core-web', name: 'core/web', parent: 'core-platform', members: ['cem'] },
    ])
    expect(document.grants).toEqual([
      { subject: 'team:core-platform', role: 'repo-write', resource: 'repo:api' },
    ])
    expect(omitted).toEqual({ outsiders: 1, foreignRepositories: 1 })
  })

  test('gives members the default permission, none where there is none', () => {
    const rolesOf = (organization: ForgeOrganization) =>
      convert(organization).document.members.map(({ user, roles }) => [user, ...roles])
    expect(rolesOf(small)).toEqual([['ada', 'repo-admin'], ['ben'], ['cem']])
    expect(rolesOf({ ...small, defaultPermission: 'read' })).toEqual([
      ['ada', 'repo-admin'],
      ['ben', 'repo-read'],
      ['cem', 'repo-read'],
    ])
  })

  test('refuses two teams whose names come to one slug', () => {
    const [team] = small.teams
    const teams = [team!, { ...team!, name: 'core-platform' }]
    expect(() => convert({ ...small, teams })).toThrow('core-platform')
    expect(teamSlug('kubernetes/sig-apps')).toBe('kubernetes-sig-apps')
  })
})
