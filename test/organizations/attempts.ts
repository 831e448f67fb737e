import { LATER } from './fixtures.ts'

/** What carol tries, and how it is refused. `{denial}` in a path or a body is the id of that thing; a path is the organization's, or one from /v1 on. */
export type Attempt = [name: string, what: string, body: unknown, status: number, code: string]
const ABOVE = [403, 'above-ceiling'] as const
const OWNERS = [403, 'owner-required'] as const
const MALFORMED = [400, 'invalid-request'] as const
const FORBIDDEN = [403, 'forbidden'] as const
const UNKNOWN = [422, 'role-unknown'] as const

const carol = { subject: 'user:carol' }
const mine = ['managing', 'own']

const MEMBERS: Attempt[] = [
  ['herself a role, by PATCH', 'PATCH /members/carol', { roles: [...mine, 'strong'] }, ...ABOVE],
  ['herself a role, by PUT', 'PUT /members/carol', { roles: ['strong'] }, ...ABOVE],
  ['herself a built-in role', 'PATCH /members/carol', { roles: [...mine, 'admin'] }, ...ABOVE],
  ['herself ownership', 'PATCH /members/carol', { roles: [...mine, 'owner'] }, ...OWNERS],
  ['herself the flag of owners', 'PATCH /members/carol', { isOwner: true }, ...MALFORMED],
  ['herself a permission', 'PATCH /members/carol', { permissions: ['org:delete'] }, ...MALFORMED],
  ['a role of the platform', 'PATCH /members/carol', { roles: ['super_admin'] }, ...UNKNOWN],
  ['another a role', 'PATCH /members/bob', { roles: ['weak', 'strong'] }, ...ABOVE],
  ['another ownership', 'PUT /members/bob', { roles: ['owner'] }, ...OWNERS],
  ['somebody new a role', 'PUT /members/zoe', { roles: ['strong'] }, ...ABOVE],
  ['somebody new ownership', 'PUT /members/zoe', { roles: ['owner'] }, ...OWNERS],
  ['a service a role', 'PUT /members/service:ci', { roles: ['strong'] }, ...ABOVE],
  ['power back', 'PATCH /members/sue', { status: 'active' }, ...ABOVE],
  ['power back, by PUT', 'PUT /members/sue', { roles: ['strong'], status: 'active' }, ...ABOVE],
  ['more time', 'PATCH /members/tim', { expiresAt: LATER }, ...ABOVE],
  ['time without end', 'PATCH /members/tim', { expiresAt: null }, ...ABOVE],
  ['an owner’s place, by removal', 'DELETE /members/olga', undefined, ...OWNERS],
  ['an owner’s place, by demotion', 'PATCH /members/olga', { roles: ['weak'] }, ...OWNERS],
  ['an owner’s place, by suspension', 'PATCH /members/olga', { status: 'suspended' }, ...OWNERS],
]

const invitation = { email: 'zoe@example.com' }
const inLab = (role: string) => ({ workspaces: [{ workspace: 'lab', roles: [role] }] })
const csv = (line: string) => ({ csv: `email,roles,workspaces\nzoe@example.com,${line}` })
const INVITATIONS: Attempt[] = [
  ['a guest a role', 'POST /invitations', { ...invitation, roles: ['strong'] }, ...ABOVE],
  ['a guest ownership', 'POST /invitations', { ...invitation, roles: ['owner'] }, ...OWNERS],
  ['a role in a workspace', 'POST /invitations', { ...invitation, ...inLab('admin') }, ...ABOVE],
  [
    'ownership of a workspace',
    'POST /invitations',
    { ...invitation, ...inLab('owner') },
    ...MALFORMED,
  ],
  ['what an owner gave, once more', 'POST /invitations/{invited}/resend', undefined, ...ABOVE],
  ['an owner’s heir another chance', 'POST /invitations/{heir}/resend', undefined, ...OWNERS],
  ['a role in a table', 'POST /invitations/bulk', csv('weak strong,'), 200, 'above-ceiling'],
  ['ownership in a table', 'POST /invitations/bulk', csv('owner,'), 200, 'owner-required'],
  ['a workspace in a table', 'POST /invitations/bulk', csv('weak,lab=admin'), 200, 'above-ceiling'],
]

const strong = { permissions: ['scenario:delete'] }
const managing = { permissions: ['org:read', 'org:delete'] }
const ROLES: Attempt[] = [
  ['a new role more', 'PUT /roles/fresh', strong, ...ABOVE],
  ['a role she holds more', 'PUT /roles/managing', managing, ...ABOVE],
  [
    'a role she holds a parent',
    'PUT /roles/managing',
    { permissions: [], inherits: ['strong'] },
    ...ABOVE,
  ],
  ['a role she holds no condition', 'PUT /roles/own', strong, ...ABOVE],
  [
    'a role an owner’s rights',
    'PUT /roles/weak',
    { permissions: [], inherits: ['owner'] },
    422,
    'owner-not-inheritable',
  ],
  [
    'a role every permission',
    'PUT /roles/weak',
    { ...strong, holdsEveryPermission: true },
    ...MALFORMED,
  ],
  [
    'a role the platform',
    'PUT /roles/weak',
    { permissions: ['system:admin'] },
    422,
    'permission-too-wide',
  ],
  [
    'a role the widest scope',
    'PUT /roles/weak',
    { permissions: [], scope: 'platform' },
    ...MALFORMED,
  ],
  ['a built-in role more', 'PUT /roles/member', strong, 409, 'role-built-in'],
  ['a role of the platform a twin', 'PUT /roles/super_admin', strong, 409, 'role-name-reserved'],
  ['a copy', 'POST /roles/strong/copy', { name: 'fresh' }, ...ABOVE],
  ['a copy of admin', 'POST /roles/admin/copy', { name: 'fresh' }, ...ABOVE],
  ['a copy of owner', 'POST /roles/owner/copy', { name: 'fresh' }, ...ABOVE],
  [
    'a copy of an operator',
    'POST /roles/super_admin/copy',
    { name: 'fresh' },
    404,
    'role-not-found',
  ],
  ['a replacement', 'DELETE /roles/weak?replacement=strong', undefined, ...ABOVE],
  ['herself a replacement', 'DELETE /roles/managing?replacement=admin', undefined, ...ABOVE],
  ['owner as a replacement', 'DELETE /roles/weak?replacement=owner', undefined, ...ABOVE],
]

const TEAMS: Attempt[] = [
  ['herself a team', 'PUT /teams/strong/members/carol', undefined, ...ABOVE],
  ['another a team', 'PUT /teams/strong/members/bob', undefined, ...ABOVE],
  ['her team a parent', 'PUT /teams/eng', { parent: 'strong' }, ...ABOVE],
  ['a new team a parent', 'PUT /teams/fresh', { parent: 'strong' }, ...ABOVE],
  ['her team a role', 'POST /grants', { subject: 'team:eng', role: 'strong' }, ...ABOVE],
  ['herself a way out of a denial', 'DELETE /teams/kept/members/carol', undefined, ...ABOVE],
  ['all a way out of a denial', 'DELETE /teams/kept', undefined, ...ABOVE],
]

const onBob = { subject: 'user:bob', permission: 'scenario:delete' }
const GRANTS: Attempt[] = [
  ['herself a role', 'POST /grants', { ...carol, role: 'strong' }, ...ABOVE],
  ['herself a permission', 'POST /grants', { ...carol, permission: 'org:delete' }, ...ABOVE],
  [
    'herself a role of workspaces',
    'POST /grants',
    { ...carol, role: 'lab-strong', workspace: 'lab' },
    ...ABOVE,
  ],
  ['a workspace', 'POST /grants', { ...onBob, workspace: 'lab' }, ...ABOVE],
  ['one resource', 'POST /grants', { ...onBob, resource: 'scenario:7' }, ...ABOVE],
  [
    'one resource, by role',
    'POST /grants',
    { subject: 'user:bob', role: 'strong', resource: 'scenario:7' },
    ...ABOVE,
  ],
  ['another condition than hers', 'POST /grants', { ...onBob, condition: '1 == 1' }, ...ABOVE],
  [
    'what she is denied',
    'POST /grants',
    { subject: 'user:tom', permission: 'scenario:read', resource: 'scenario:9' },
    ...ABOVE,
  ],
  ['a key', 'POST /grants', { subject: 'key:{weakKey}', permission: 'scenario:delete' }, ...ABOVE],
  ['a service', 'POST /grants', { subject: 'service:ci', role: 'strong' }, ...ABOVE],
  ['ownership', 'POST /grants', { ...carol, role: 'owner' }, ...ABOVE],
  ['the platform', 'POST /grants', { ...carol, permission: 'org:plan:update' }, ...ABOVE],
  ['a role of the platform', 'POST /grants', { ...carol, role: 'operator' }, ...UNKNOWN],
  [
    'a role a role',
    'POST /grants',
    { subject: 'role:organization.weak', role: 'weak' },
    422,
    'subject-is-a-role',
  ],
  ['no condition', 'PATCH /grants/{conditional}', { condition: null }, ...ABOVE],
  ['an easier condition', 'PATCH /grants/{conditional}', { condition: '1 == 1' }, ...ABOVE],
  ['more time', 'PATCH /grants/{temporary}', { expiresAt: LATER }, ...ABOVE],
  ['time without end', 'PATCH /grants/{temporary}', { expiresAt: null }, ...ABOVE],
  ['an allow for a deny', 'PATCH /grants/{denial}', { effect: 'allow' }, ...MALFORMED],
  ['another permission', 'PATCH /grants/{temporary}', { permission: 'org:delete' }, ...MALFORMED],
  ['another subject', 'PATCH /grants/{conditional}', carol, ...MALFORMED],
  ['the end of her denial', 'DELETE /grants/{denial}', undefined, ...ABOVE],
  ['a day for its end', 'PATCH /grants/{denial}', { expiresAt: LATER }, ...ABOVE],
  ['a condition for it', 'PATCH /grants/{denial}', { condition: 'context.mfa == false' }, ...ABOVE],
  ['the end of another’s denial', 'DELETE /grants/{denialOfBob}', undefined, ...ABOVE],
  ['the end of the resource she is denied', 'DELETE /resources/scenario/9', undefined, ...ABOVE],
]

const ours = { name: 'ours' }
const KEYS: Attempt[] = [
  ['a key a role', 'POST /api-keys', { ...ours, roles: ['strong'] }, ...ABOVE],
  ['a key a permission', 'POST /api-keys', { ...ours, permissions: ['org:delete'] }, ...ABOVE],
  ['a key ownership', 'POST /api-keys', { ...ours, roles: ['owner'] }, ...ABOVE],
  ['a key the platform', 'POST /api-keys', { ...ours, roles: ['super_admin'] }, ...UNKNOWN],
  ['her key more than herself', 'POST /api-keys', { ...ours, personal: true, ...strong }, ...ABOVE],
  [
    'another’s key',
    'POST /api-keys',
    { ...ours, personal: true, member: 'user:alice' },
    ...MALFORMED,
  ],
  ['a secret she could use', 'POST /api-keys/{strongKey}/rotate', {}, ...ABOVE],
]

const denied = {
  ...carol,
  permission: 'scenario:read',
  resource: 'scenario:9',
  effect: 'deny',
}
const DOCUMENTS: [name: string, document: object][] = [
  ['a role', { roles: [{ name: 'managing', permissions: ['org:read', 'org:delete'] }] }],
  ['a member', { members: [{ user: 'carol', roles: [...mine, 'strong'] }] }],
  ['ownership', { members: [{ user: 'carol', roles: ['owner'] }] }],
  ['power back', { members: [{ user: 'sue', status: 'active' }] }],
  ['a team', { teams: [{ slug: 'strong', members: ['carol'] }] }],
  ['a parent', { teams: [{ slug: 'eng', parent: 'strong' }] }],
  ['a day for the end of her denial', { grants: [{ ...denied, expiresAt: LATER }] }],
  ['a grant', { grants: [{ subject: 'user:carol', role: 'strong' }] }],
  [
    'a workspace',
    { workspaces: [{ slug: 'lab', members: [{ user: 'carol', roles: ['admin'] }] }] },
  ],
]
const IMPORTS = DOCUMENTS.map(
  ([name, document]): Attempt => [name, 'POST /import', document, 422, 'import-invalid'],
)

const PLACES: Attempt[] = [
  ['a workspace', 'PUT /workspaces/lab/members/carol', { roles: ['lab-strong'] }, ...ABOVE],
  ['a workspace’s admin', 'PUT /workspaces/lab/members/bob', { roles: ['admin'] }, ...ABOVE],
  ['a workspace an owner', 'PUT /workspaces/lab/members/bob', { roles: ['owner'] }, ...MALFORMED],
  ['people of the domain a role', 'PATCH /domains/{domain}', { role: 'strong' }, ...ABOVE],
  ['them what an owner chose', 'PATCH /domains/{domain}', { enrollment: 'auto_join' }, ...ABOVE],
  ['them ownership', 'PATCH /domains/{domain}', { role: 'owner' }, ...UNKNOWN],
  ['the log to a server', 'POST /webhooks', { url: 'https://evil.example.com/' }, ...ABOVE],
  [
    'it to another server',
    'PATCH /webhooks/{hook}',
    { url: 'https://evil.example.com/' },
    ...ABOVE,
  ],
  ['the log as an archive', 'POST /archive', undefined, ...FORBIDDEN],
]

const offer = { to: 'user:carol' }
const ORGANIZATION: Attempt[] = [
  ...['plan', 'status', 'limits', 'ownerId', 'id', 'security', 'deleteAfter', '__proto__'].map(
    (member): Attempt => [`it ${member}`, 'PATCH ', `{"${member}":"custom"}`, ...MALFORMED],
  ),
  [
    'it security among settings',
    'PATCH /settings',
    { security: { requireMfa: false } },
    ...MALFORMED,
  ],
  ['it a plan', 'PUT /plan', { plan: 'custom' }, ...FORBIDDEN],
  ['it limits', 'PUT /limits', { limits: { maxMembers: null }, reason: 'more' }, ...FORBIDDEN],
  ['it another state', 'POST /suspend', { reason: 'x' }, ...FORBIDDEN],
  ['it a life again', 'POST /reactivate', undefined, ...FORBIDDEN],
  ['it an end', 'DELETE ', undefined, ...FORBIDDEN],
  ['it to herself', 'POST /transfer', offer, ...FORBIDDEN],
  ['herself what nobody offered', 'POST /transfer/accept', undefined, 404, 'offer-not-found'],
  [
    'another an organization',
    'POST /v1/organizations',
    { name: 'X', owner: 'user:bob' },
    ...FORBIDDEN,
  ],
  [
    'the catalog a permission',
    'POST /v1/permissions',
    { key: 'wand:swing', scope: 'workspace' },
    ...FORBIDDEN,
  ],
  ['a type laxity', 'PUT /v1/resource-types/scenario', { strict: false }, ...FORBIDDEN],
]

const change = { kind: 'member', user: 'carol', roles: [...mine, 'strong'] }
const PREVIEWS: Attempt[] = [
  ['what she only looks at', 'POST /preview', { change }, 200, 'above-ceiling'],
]

/** Every way, by what it goes through. */
export const ATTEMPTS = {
  members: MEMBERS,
  invitations: INVITATIONS,
  roles: ROLES,
  teams: TEAMS,
  grants: GRANTS,
  keys: KEYS,
  documents: IMPORTS,
  places: PLACES,
  'the organization itself': ORGANIZATION,
  previews: PREVIEWS,
}
