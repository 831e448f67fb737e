import { mkdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

/** Repository permissions of the forge, each includes the ones before it. */
const PERMISSIONS = ['read', 'triage', 'write', 'maintain', 'admin'] as const
type Permission = (typeof PERMISSIONS)[number]

/** An organization as the forge's configuration declares it. */
export type ForgeOrganization = {
  slug: string
  admins: string[]
  members: string[]
  /** What every member holds on every repository. */
  defaultPermission: Permission | 'none'
  repos: string[]
  teams: {
    name: string
    parent: string | null
    maintainers: string[]
    members: string[]
    repos: Record<string, Permission>
  }[]
}

/** What an import takes (docs/import.md). */
export type ImportDocument = {
  roles: { name: string; permissions: string[]; inherits: string[] }[]
  members: { user: string; roles: string[] }[]
  teams: { slug: string; name: string; parent: string | null; members: string[] }[]
  resources: { type: 'repo'; id: string }[]
  grants: { subject: string; role: string; resource: string }[]
}

/** What the platform must know before: the catalog is shared by all organizations. */
export const REGISTRATIONS = [
  // Strict: a repository that is not registered in the organization is denied to everybody, its admins included.
  { call: 'PUT /v1/resource-types/repo', body: { strict: true, description: 'A repository' } },
  ...PERMISSIONS.map((permission) => ({
    call: 'POST /v1/permissions',
    body: {
      key: `repo:${permission}`,
      scope: 'workspace',
      description: `${permission} on a repository`,
    },
  })),
]

const roleOf = (permission: Permission) => `repo-${permission}`

const ROLES = PERMISSIONS.map((permission, index) => ({
  name: roleOf(permission),
  permissions: [`repo:${permission}`],
  inherits: PERMISSIONS.slice(Math.max(index - 1, 0), index).map(roleOf),
}))

/** `kubernetes/sig-apps` is the team `kubernetes-sig-apps`. */
export const teamSlug = (name: string) =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')

/** What the document leaves out, and why: it would give nothing on the forge either. */
export type Omitted = { outsiders: number; foreignRepositories: number }

/**
 * One organization as an import document: the forge's rules in roles, members, teams and grants.
 * @throws Error where two names of teams come to the same slug
 */
export const convert = (
  organization: ForgeOrganization,
): { document: ImportDocument; omitted: Omitted } => {
  const { admins, members, defaultPermission, repos, teams } = organization
  refuseClashes(teams.map(({ name }) => name))
  const people = new Set([...admins, ...members])
  const repositories = new Set(repos)
  const omitted = { outsiders: 0, foreignRepositories: 0 }
  const rolesOf = (user: string) => {
    if (admins.includes(user)) return [roleOf('admin')]
    return defaultPermission === 'none' ? [] : [roleOf(defaultPermission)]
  }
  const document: ImportDocument = {
    roles: ROLES,
    members: [...people].map((user) => ({ user, roles: rolesOf(user) })),
    teams: [],
    resources: repos.map((id) => ({ type: 'repo', id })),
    grants: [],
  }
  for (const { name, parent, maintainers, members, repos } of teams) {
    const slug = teamSlug(name)
    const listed = [...new Set([...maintainers, ...members])]
    const inside = listed.filter((user) => people.has(user))
    omitted.outsiders += listed.length - inside.length
    document.teams.push({
      slug,
      name,
      parent: parent === null ? null : teamSlug(parent),
      members: inside,
    })
    for (const [repository, permission] of Object.entries(repos)) {
      const resource = `repo:${repository}`
      if (repositories.has(repository))
        document.grants.push({ subject: `team:${slug}`, role: roleOf(permission), resource })
      else omitted.foreignRepositories++
    }
  }
  return { document, omitted }
}

const refuseClashes = (names: readonly string[]) => {
  const seen = new Map<string, string>()
  for (const name of names) {
    const slug = teamSlug(name)
    const other = seen.get(slug)
    if (other !== undefined)
      throw new Error(`the teams ${other} and ${name} both come to the slug "${slug}"`)
    seen.set(slug, name)
  }
}

const main = async (source: string | undefined, outDir: string | undefined) => {
  if (!source || !outDir)
    throw new Error('usage: node examples/github-orgs/convert.ts <organizations.json> <outDir>')
  const { organizations } = JSON.parse(await readFile(source, 'utf8')) as {
    organizations: ForgeOrganization[]
  }
  await mkdir(outDir, { recursive: true })
  console.log('Register first, with an operator’s key:')
  for (const { call, body } of REGISTRATIONS) console.log(`  ${call} ${JSON.stringify(body)}`)
  console.log('Then import, one document per organization:')
  for (const organization of organizations) {
    const { document, omitted } = convert(organization)
    const file = join(outDir, `${organization.slug}.json`)
    await writeFile(file, `${JSON.stringify(document, null, 1)}\n`)
    const counts = Object.entries(document).map(([kind, list]) => `${list.length} ${kind}`)
    console.log(`  POST /v1/organizations/${organization.slug}/import ← ${file}`)
    console.log(`    ${counts.join(', ')}`)
    if (omitted.outsiders + omitted.foreignRepositories > 0)
      console.log(
        `    left out: ${omitted.outsiders} in teams who are not members, ${omitted.foreignRepositories} grants on repositories of others`,
      )
  }
}

if (argv[1] && (await realpath(argv[1])) === fileURLToPath(import.meta.url))
  await main(argv[2], argv[3])
