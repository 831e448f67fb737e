import fc from 'fast-check'
import type { Sql } from '../../src/platform/db/connect.ts'
import { type ImportServer, startImportServer } from '../imports/fixtures.ts'
import { documents, questionsAbout } from '../imports/random-documents.ts'
import { type Watching, watchedSql } from './watched-sql.ts'

// One database and two servers: one holds organizations whole, the other slices. Both must say the same, whatever was asked
// before and whatever was changed since.

const USERS = ['user:u0', 'user:u1', 'user:a:b', 'service:s0']
const TEAMS = ['t0', 't1', 't2', 't3']
const RESOURCES = ['repo:r0', 'repo:r1', 'model:m0']

/** A change made by hand, so that nothing but the triggers of the database tells of it. Those it refuses change nothing. */
const edits: Record<string, (sql: Sql, id: string, pick: Pick) => Promise<unknown>> = {
  'a team gets another parent': (sql, id, { team, other }) => sql`
    update teams set parent = ${other} where organization_id = ${id} and slug = ${team} and ${team} > ${other}`,
  'a team loses its parent': (sql, id, { team }) => sql`
    update teams set parent = null where organization_id = ${id} and slug = ${team}`,
  'somebody joins a team': (sql, id, { team, user }) => sql`
    insert into team_members values (${id}, ${team}, ${user}) on conflict do nothing`,
  'somebody leaves a team': (sql, id, { team }) => sql`
    delete from team_members where organization_id = ${id} and team = ${team}`,
  'a member is suspended or restored': (sql, id, { user }) => sql`
    update members set status = case status when 'active' then 'suspended' else 'active' end
    where organization_id = ${id} and subject = ${user} and not is_owner`,
  'a member gets other attributes': (sql, id, { user, number }) => sql`
    update members set attributes = ${sql.json({ level: number })} where organization_id = ${id} and subject = ${user}`,
  'a resource is moved': (sql, id, { resource, workspace }) => sql`
    update resources set workspace_id = (select id from workspaces where organization_id = ${id} and slug = ${workspace})
    where organization_id = ${id} and type || ':' || id = ${resource}`,
  'a resource gets another owner': (sql, id, { resource, number }) => sql`
    update resources set owner = ${`u${number % 2}`} where organization_id = ${id} and type || ':' || id = ${resource}`,
  'a resource is suspended': (sql, id, { resource }) => sql`
    update resources set suspended_because = 'x' where organization_id = ${id} and type || ':' || id = ${resource}`,
  'a resource ends': (sql, id, { resource }) => sql`
    delete from resources where organization_id = ${id} and type || ':' || id = ${resource}`,
  'a grant ends': (sql, id, { number }) => sql`
    delete from grants where id in (
      select id from grants where organization_id = ${id} order by id offset ${number} limit 1)`,
  'a grant turns': (sql, id, { number }) => sql`
    update grants set effect = case effect when 'allow' then 'deny' else 'allow' end where id in (
      select id from grants where organization_id = ${id} order by id offset ${number} limit 1)`,
  'a grant is given on': (sql, id, { number, user }) => sql`
    update grants set subject = ${user} where id in (
      select id from grants where organization_id = ${id} order by id offset ${number} limit 1)`,
  'a grant has expired': (sql, id, { number }) => sql`
    update grants set expires_at = now() - interval '1 second' where id in (
      select id from grants where organization_id = ${id} order by id offset ${number} limit 1)`,
  'a role loses a permission': (sql, id) => sql`
    delete from role_permissions where (role_home, role_name, permission) in (
      select role_home, role_name, permission from role_permissions where role_home = ${id} order by 2, 3 limit 1)`,
  'the catalog grows': (sql, _id, { number }) => sql`
    insert into permissions (key, scope) values (${`repo:extra${number}`}, 'workspace') on conflict do nothing`,
}

type Pick = {
  team: string
  other: string
  user: string
  resource: string
  workspace: string
  number: number
}

const pick = fc.record({
  team: fc.constantFrom(...TEAMS),
  other: fc.constantFrom(...TEAMS),
  user: fc.constantFrom(...USERS),
  resource: fc.constantFrom(...RESOURCES),
  workspace: fc.constantFrom('w0', 'w1'),
  number: fc.nat(12),
})

const QUESTIONS = questionsAbout(USERS)

const rounds = fc.array(
  fc.record({
    changes: fc.array(fc.record({ what: fc.constantFrom(...Object.keys(edits)), pick }), {
      maxLength: 3,
    }),
    asked: fc.shuffledSubarray(QUESTIONS, { minLength: 20, maxLength: 40 }),
    atOnce: fc.boolean(),
  }),
  { minLength: 4, maxLength: 4 },
)

/** Two servers over one database. What is planted only the one with slices meets. */
export const startPair = async (plant?: Watching['plant']) => {
  const whole = await startImportServer({ slices: 'never' })
  const sql = plant ? watchedSql(whole.sql, { plant }) : whole.sql
  const sliced = await startImportServer({
    slices: 'always',
    database: { ...whole.database, sql },
  })
  return { whole, sliced, drop: () => whole.drop() }
}

type Pair = Awaited<ReturnType<typeof startPair>>
type Question = (typeof QUESTIONS)[number]

/** What a server says to some questions, in one batch or one by one. */
const answers = async (server: ImportServer, slug: string, asked: Question[], atOnce: boolean) => {
  const checks = asked.map((question) => ({ organization: slug, ...question }))
  const shown = ({ allowed, code, reason }: Record<string, unknown>) => ({ allowed, code, reason })
  if (atOnce)
    return (
      await server.call('POST /check/batch', { checks, consistency: 'full' })
    ).body.results.map(shown)
  const one = async (check: object) =>
    shown((await server.call('POST /check', { ...check, consistency: 'full' })).body)
  return Promise.all(checks.map(one))
}

/** The first difference between the two that is found, with the seed that leads there; undefined where both always agree. */
export const findDifference = async (
  { whole, sliced }: Pair,
  { runs, onAnswers }: { runs: number; onAnswers?: (answers: { allowed: boolean }[]) => void },
): Promise<string | undefined> => {
  const property = fc.asyncProperty(documents, rounds, async (document, listed) => {
    const { id, slug, path } = await whole.newOrganization()
    await whole.call(`POST ${path}/import`, document)
    for (const { changes, asked, atOnce } of listed) {
      for (const { what, pick } of changes) await edits[what]!(whole.sql, id, pick).catch(() => {})
      const [expected, said] = [
        await answers(whole, slug, asked, atOnce),
        await answers(sliced, slug, asked, atOnce),
      ]
      const at = asked.findIndex(
        (_, index) => JSON.stringify(expected[index]) !== JSON.stringify(said[index]),
      )
      if (at >= 0)
        throw new Error(
          `differs: ${JSON.stringify({ asked: asked[at], whole: expected[at], sliced: said[at], changes })}`,
        )
      onAnswers?.(expected)
      if (sliced.policies.peek(id)?.slice === null) throw new Error('an organization is held whole')
    }
  })
  const found = await fc.check(property, { numRuns: runs, endOnFailure: true })
  return found.failed ? `${found.errorInstance} (seed ${found.seed})` : undefined
}
