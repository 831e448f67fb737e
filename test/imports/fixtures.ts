import { type Answer, startTestServer, type TestServer } from '../support/server.ts'

type Options = Parameters<typeof startTestServer>[0]

/** A server whose catalog knows repositories: a strict resource type with three permissions. */
export const startImportServer = async (options: Options = {}) => {
  const server = await startTestServer(options)
  await server.call('PUT /v1/resource-types/repo', { strict: true })
  for (const action of ['read', 'write', 'admin'])
    await server.call('POST /v1/permissions', { key: `repo:${action}`, scope: 'workspace' })

  /** What must be as before where an import is refused: the revision, and every row. */
  const stateOf = async (organizationId: string) => {
    const [row] = await server.sql<{ state: unknown }[]>`
      select json_build_array(o.revision,
        (select json_agg(m order by m.subject) from members m where m.organization_id = o.id),
        (select json_agg(g order by g.id) from grants g where g.organization_id = o.id),
        (select json_agg(r order by r.name) from roles r where r.organization_id = o.id),
        (select json_agg(p order by p) from role_permissions p where p.role_home = o.id),
        (select json_agg(i order by i) from role_inherits i where i.role_home = o.id),
        (select json_agg(t order by t.slug) from teams t where t.organization_id = o.id),
        (select json_agg(t order by t.team, t.subject) from team_members t where t.organization_id = o.id),
        (select json_agg(w order by w.slug) from workspaces w where w.organization_id = o.id),
        (select json_agg(r order by r.type, r.id) from resources r where r.organization_id = o.id),
        (select count(*) from audit_events where log = o.id)) as state
      from organizations o where o.id = ${organizationId}`
    return row!.state
  }
  /** Whether a subject may do something in an organization. */
  const may = async (
    organization: string,
    [subject, permission, resource]: readonly [string, string, string?],
  ): Promise<boolean> =>
    (
      await server.call('POST /check', {
        organization,
        subject,
        permission,
        ...(resource ? { resource } : {}),
        consistency: 'full',
      })
    ).body.allowed
  return { ...server, stateOf, may }
}

export type ImportServer = Awaited<ReturnType<typeof startImportServer>>
export type Organization = Awaited<ReturnType<TestServer['newOrganization']>>

/** One of everything. */
export const FULL = {
  roles: [
    { name: 'repo-read', permissions: ['repo:read'] },
    { name: 'repo-write', permissions: ['repo:write'], inherits: ['repo-read'] },
    {
      name: 'lab-lead',
      scope: 'workspace',
      description: 'Leads a lab',
      permissions: [{ permission: 'scenario:read', condition: 'resource.owner == subject.id' }],
    },
  ],
  members: [
    { user: 'bob', roles: ['repo-read', 'viewer'], attributes: { level: 3, of: ['a'] } },
    { user: 'user:carol', roles: [] },
    { user: 'service:ci', roles: [], status: 'suspended' },
  ],
  teams: [
    { slug: 'eng', parent: null, members: ['bob'] },
    { slug: 'web', name: 'The Web', parent: 'eng', members: ['carol', 'service:ci'] },
  ],
  workspaces: [
    { slug: 'ws1', name: 'Workspace 1', members: [{ user: 'bob', roles: ['lab-lead', 'user'] }] },
    { slug: 'ws2' },
  ],
  resources: [
    { type: 'repo', id: 'kubectl', workspace: null, owner: null, attributes: { stars: 1 } },
    { type: 'repo', id: 'site', workspace: 'ws1', owner: 'bob' },
  ],
  grants: [
    { subject: 'team:eng', role: 'repo-write', resource: 'repo:kubectl' },
    { subject: 'user:carol', permission: 'repo:admin', resource: 'repo:site', reason: 'on call' },
    { subject: 'team:web', permission: 'repo:write', effect: 'deny', resource: 'repo:kubectl' },
    { subject: 'service:bot', role: 'lab-lead', workspace: 'ws2', condition: 'context.ok == true' },
    { subject: 'user:bob', permission: 'repo:read', expiresAt: '2099-01-01T00:00:00Z' },
  ],
}

export const FULL_COUNTS = {
  roles: 3,
  members: 3,
  teams: 2,
  workspaces: 2,
  resources: 2,
  grants: 5,
}
export const NO_COUNTS = { roles: 0, members: 0, teams: 0, workspaces: 0, resources: 0, grants: 0 }

/** The places that a refusal names. */
export const placesOf = ({ body }: Answer): string[] =>
  body.errors.map(({ pointer }: { pointer: string }) => pointer)
