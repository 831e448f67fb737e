const given = (columns: string, values: string) => (home: string) =>
  `insert into grants (id, organization_id, subject, granted_by, ${columns})
   values ('grt_${'0'.repeat(26)}', '${home}', 'user:bob', 'user:bob', ${values})`

/** By the organization it is tried in: a wider scope than the place bears, and a wider thing under the name of a narrower one. */
export const WIDER_SCOPES: Record<string, (home: string) => string> = {
  'a permission of the platform in a role': (home) =>
    `insert into role_permissions values ('${home}', 'organization', 'lead', 'system:admin', 'platform')`,
  'the same as one of organizations': (home) =>
    `insert into role_permissions values ('${home}', 'organization', 'lead', 'system:admin', 'organization')`,
  'a permission of organizations in a role of workspaces': (home) =>
    `with made as (insert into roles (organization_id, scope, name) values ('${home}', 'workspace', 'small') returning 1)
     insert into role_permissions values ('${home}', 'workspace', 'small', 'org:read', 'organization')`,
  'the permissions of a role under a wider scope': () =>
    `update role_permissions set role_scope = 'platform' where role_name = 'lead'`,
  'a role of the platform': (home) =>
    `insert into roles (organization_id, scope, name) values ('${home}', 'platform', 'super')`,
  'a role that holds everything': (home) =>
    `insert into roles (organization_id, scope, name, holds_every_permission) values ('${home}', 'organization', 'all', true)`,
  'a parent of the platform': (home) =>
    `insert into role_inherits values ('${home}', 'organization', 'lead', 'platform', 'platform', 'super_admin')`,
  'the same as one of organizations, inherited': (home) =>
    `insert into role_inherits values ('${home}', 'organization', 'lead', 'platform', 'organization', 'super_admin')`,
  'an invitation to a role of the platform': (home) =>
    `insert into invitation_roles (organization_id, invitation_id, role_home, role_scope, role_name)
     select organization_id, id, 'platform', 'platform', 'super_admin' from invitations where organization_id = '${home}'`,
  'an invitation to a role of workspaces, everywhere': (home) =>
    `insert into invitation_roles (organization_id, invitation_id, role_home, role_scope, role_name)
     select organization_id, id, 'platform', 'workspace', 'admin' from invitations where organization_id = '${home}'`,
  'a domain that gives a role of the platform': (home) =>
    `update organization_domains set role_home = 'platform', role_scope = 'platform', role_name = 'super_admin'
     where organization_id = '${home}'`,
  'owner as a parent': (home) =>
    `insert into role_inherits values ('${home}', 'organization', 'lead', 'platform', 'organization', 'owner')`,

  'a grant of the platform': given('permission, permission_scope', `'system:admin', 'platform'`),
  'the same as one of organizations, granted': given(
    'permission, permission_scope',
    `'system:admin', 'organization'`,
  ),
  'a grant of the platform to a team': (home: string) =>
    given(
      'permission, permission_scope',
      `'system:admin', 'platform'`,
    )(home)
      .replace(`'${home}'`, 'null')
      .replace('user:bob', 'team:eng'),
  'a grant of a role of the platform': given(
    'role_home, role_scope, role_name',
    `'platform', 'platform', 'super_admin'`,
  ),
  'a grant of it as one of organizations': given(
    'role_home, role_scope, role_name',
    `'platform', 'organization', 'super_admin'`,
  ),
  'a grant of owner': given(
    'role_home, role_scope, role_name',
    `'platform', 'organization', 'owner'`,
  ),
  'a grant of a role of workspaces, everywhere': given(
    'role_home, role_scope, role_name',
    `'platform', 'workspace', 'admin'`,
  ),
}
