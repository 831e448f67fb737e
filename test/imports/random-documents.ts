import fc from 'fast-check'

const USERS = ['user:u0', 'user:u1', 'user:a:b', 'service:s0', 'identity:i/0, *', 'user:ünï😀']
const TEAMS = ['t0', 't1', 't2', 't3']
const WORKSPACES = ['w0', 'w1']
const RESOURCES = ['repo:r0', 'repo:r1', 'repo:a:b', 'model:m0', 'scenario:s 0']
const PERMISSIONS = [
  'repo:read',
  'repo:write',
  'model:read',
  'scenario:read',
  'conversation:create',
]
const ROLES = ['o0', 'o1', 'w0', 'w1']
const ENDS = [undefined, null, '2099-01-01T00:00:00.123Z']
const CONDITIONS = ['context.ok == true', 'resource.owner == subject.id', 'subject.level > 2']

const some = <Item>(items: readonly Item[]) => fc.subarray([...items])
const attributes = fc.dictionary(
  fc.constantFrom('level', 'a"b', '\\', '__x'),
  fc.oneof(
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string(),
    fc.boolean(),
    fc.array(fc.constantFrom(1, 'x', null)),
  ),
  { maxKeys: 3 },
)
const text = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .filter((value) => value.isWellFormed() && !value.includes('\u0000'))

const roles = some(ROLES).chain((names) =>
  fc.tuple(
    ...names.map((name, index) => {
      const scope = name.startsWith('w') ? ('workspace' as const) : ('organization' as const)
      return fc.record({
        name: fc.constant(name),
        scope: fc.constant(scope),
        description: text,
        permissions: some(PERMISSIONS).chain((held) =>
          fc.tuple(
            ...held.map((permission) =>
              fc.oneof(
                fc.constant(permission as string | { permission: string; condition: string }),
                fc.constantFrom(...CONDITIONS).map((condition) => ({ permission, condition })),
              ),
            ),
          ),
        ),
        // Only earlier ones of the same scope: never a circle.
        inherits: some([
          ...names.slice(0, index).filter((each) => each[0] === name[0]),
          ...(scope === 'workspace' ? ['guest'] : ['viewer']),
        ]),
      })
    }),
  ),
)

const unique = <Item>(items: Item[], keyOf: (item: Item) => unknown) => [
  ...new Map(items.map((item) => [JSON.stringify(keyOf(item)), item])).values(),
]

/** Documents that can be imported, with one of everything that is hard to write back. */
export const documents = roles.chain((listed) => {
  const own = (scope: string) =>
    listed.filter((each) => each.scope === scope).map(({ name }) => name)
  const organizationRoles = [...own('organization'), 'viewer', 'admin']
  const workspaceRoles = [...own('workspace'), 'user', 'admin', ...own('organization')]
  return fc
    .record({
      roles: fc.constant(listed),
      members: fc.tuple(
        ...USERS.map((user) =>
          fc.record({
            user: fc.constant(user),
            roles: some(organizationRoles),
            attributes,
            status: fc.constantFrom('active', 'active', 'suspended'),
            expiresAt: fc.constantFrom(...ENDS.slice(1)),
          }),
        ),
      ),
      teams: fc.tuple(
        ...TEAMS.map((slug, index) =>
          fc.record({
            slug: fc.constant(slug),
            name: text.map((value) => value.trim() || slug),
            parent: fc.constantFrom(null, ...TEAMS.slice(0, index)),
            members: some(USERS),
          }),
        ),
      ),
      workspaces: fc.tuple(
        ...WORKSPACES.map((slug) =>
          fc.record({
            slug: fc.constant(slug),
            members: some(USERS).chain((users) =>
              fc.tuple(
                ...users.map((user) =>
                  fc.record({ user: fc.constant(user), roles: some(workspaceRoles) }),
                ),
              ),
            ),
          }),
        ),
      ),
      resources: some(RESOURCES).chain((references) =>
        fc.tuple(
          ...references.map((reference) => {
            const colon = reference.indexOf(':')
            return fc.record({
              type: fc.constant(reference.slice(0, colon)),
              id: fc.constant(reference.slice(colon + 1)),
              workspace: fc.constantFrom(null, ...WORKSPACES),
              owner: fc.constantFrom(null, 'u0'),
              attributes,
            })
          }),
        ),
      ),
      given: fc.array(
        fc.record({
          subject: fc.constantFrom(
            ...USERS,
            'service:outside',
            ...TEAMS.map((slug) => `team:${slug}`),
          ),
          role: fc.option(fc.constantFrom(...organizationRoles), { nil: undefined }),
          permission: fc.constantFrom(...PERMISSIONS),
          resource: fc.constantFrom(undefined, ...RESOURCES),
          workspace: fc.constantFrom(undefined, ...WORKSPACES),
          effect: fc.constantFrom('allow' as const, 'allow' as const, 'deny' as const),
          condition: fc.constantFrom(undefined, undefined, ...CONDITIONS),
          expiresAt: fc.constantFrom(...ENDS),
          reason: fc.option(text, { nil: undefined }),
        }),
        { maxLength: 12 },
      ),
    })
    .map(({ given, ...document }) => {
      const registered = new Set(document.resources.map(({ type, id }) => `${type}:${id}`))
      const grants = given
        // A registered resource says where it is; a permission is about resources of its type; a plain role of
        // somebody at a place may be in a member's list already.
        .map(({ role, permission, workspace, ...grant }) => ({
          ...grant,
          ...(role === undefined ? { permission } : { role }),
          ...(workspace === undefined || (grant.resource && registered.has(grant.resource))
            ? {}
            : { workspace }),
        }))
        .filter(
          ({ resource, ...grant }) =>
            !resource ||
            !('permission' in grant) ||
            String(grant.permission).split(':')[0] === resource.split(':')[0],
        )
        .filter(
          (grant) =>
            !('role' in grant) ||
            grant.resource ||
            grant.condition ||
            grant.effect === 'deny' ||
            grant.subject.startsWith('team:'),
        )
      return {
        ...document,
        grants: unique(grants, ({ expiresAt: _expiresAt, reason: _reason, ...grant }) => grant),
      }
    })
})

/** Questions that a random policy may answer either way. */
export const questionsAbout = (subjects: readonly string[]) =>
  ['service:outside', ...subjects].flatMap((subject) =>
    PERMISSIONS.flatMap((permission) => [
      { subject, permission, workspace: undefined, resource: undefined, context: { ok: true } },
      ...RESOURCES.filter((each) => each.split(':')[0] === permission.split(':')[0]).map(
        (resource) => ({ subject, permission, resource, context: { ok: true } }),
      ),
    ]),
  )
