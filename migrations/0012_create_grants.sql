-- The only table that gives anything to anybody.
create table grants (
  id typeid primary key constraint grants_id_prefix check (starts_with(id, 'grt_')),
  -- where: null organization = the platform; then a workspace; then one resource (a registered one is where the registry says)
  organization_id typeid references organizations on delete cascade,
  workspace_id typeid,
  resource_type type_name references resource_types,
  resource_id external_id,
  -- who; the generated columns carry the foreign keys. Subjects of other types than user need no membership.
  subject subject not null,
  member subject generated always as (case when subject like 'user:%' then subject end) stored,
  team slug generated always as (case when subject like 'team:%' then substr(subject, 6) end) stored,
  api_key typeid generated always as (case when subject like 'key:%' then substr(subject, 5) end) stored,
  -- what
  role_home text collate "C",
  role_scope scope,
  role_name role_name,
  permission permission_key,
  permission_scope scope,
  effect text not null default 'allow' constraint grants_effect_known check (effect in ('allow', 'deny')),
  condition text constraint grants_condition_length check (length(condition) between 1 and 1024),   -- CEL
  condition_hash text generated always as (md5(condition)) stored,
  expires_at timestamptz,                       -- evaluated at decision time
  reason text constraint grants_reason_length check (length(reason) <= 280),
  source text not null default 'manual' constraint grants_source_known check (source in ('manual', 'member', 'import', 'api-key')),
  granted_by text not null,
  created_at timestamptz not null default now(),
  version int not null default 1,
  constraint grants_role_or_permission check (num_nonnulls(role_name, permission) = 1),
  constraint grants_role_reference_complete check (num_nonnulls(role_home, role_scope, role_name) in (0, 3)),
  constraint grants_permission_reference_complete check (num_nonnulls(permission, permission_scope) in (0, 2)),
  constraint grants_resource_reference_complete check (num_nonnulls(resource_type, resource_id) in (0, 2)),
  constraint grants_never_to_a_role check (subject !~ '^role:'),
  constraint grants_inside_need_an_organization
    check (organization_id is not null or (num_nonnulls(workspace_id, resource_type) = 0 and subject !~ '^(team|role):')),
  constraint grants_role_own_or_built_in check (role_home in ('platform', coalesce(organization_id::text, 'platform'))),
  constraint grants_platform_roles_only_on_the_platform check ((role_scope = 'platform') = (organization_id is null)),
  constraint grants_workspace_roles_need_a_workspace
    check (role_scope <> 'workspace' or workspace_id is not null or resource_type is not null),
  constraint grants_permission_no_wider_than_the_place check (permission_scope <=
    case when organization_id is null then 'platform' when workspace_id is null then 'organization' else 'workspace' end::scope),
  constraint grants_permission_fits_the_resource check (split_part(permission, ':', 1) = resource_type),
  constraint grants_ownership_is_a_flag
    check (not (role_home = 'platform' and role_scope = 'organization' and role_name = 'owner')),
  foreign key (organization_id, workspace_id) references workspaces (organization_id, id) on delete cascade,
  constraint grants_subject_is_a_member foreign key (organization_id, member) references members on delete cascade,
  constraint grants_team_is_of_the_organization foreign key (organization_id, team) references teams on delete cascade,
  constraint grants_key_is_of_the_organization foreign key (organization_id, api_key)
    references api_keys (organization_id, id) on delete cascade,
  constraint grants_permission_known foreign key (permission, permission_scope) references permissions (key, scope),
  constraint grants_role_in_use foreign key (role_home, role_scope, role_name) references roles
    deferrable initially deferred,              -- refused at commit, so that deleting an organization can cascade
  -- its index also serves "of this subject" and "of this organization"
  constraint grants_are_unique unique nulls not distinct (organization_id, subject, workspace_id, resource_type, resource_id,
    role_home, role_scope, role_name, permission, effect, condition_hash));
create index grants_by_member on grants (organization_id, member) where member is not null;
create index grants_by_team on grants (organization_id, team) where team is not null;
create index grants_by_key on grants (organization_id, api_key) where api_key is not null;
create index grants_by_workspace on grants (organization_id, workspace_id) where workspace_id is not null;
create index grants_by_resource on grants (organization_id, resource_type, resource_id) where resource_id is not null;
create index grants_by_role on grants (role_home, role_scope, role_name) where role_name is not null;
create index grants_by_expiry on grants (expires_at) where expires_at is not null;

-- Who holds a role in the workspace itself. With the caller's rights: a view of its owner would show every organization.
create view workspace_members with (security_invoker = true) as
  select organization_id, workspace_id, subject, array_agg(role_name::text order by role_name) as roles
    from grants
   where workspace_id is not null and resource_id is null and role_name is not null and effect = 'allow' and condition is null
   group by organization_id, workspace_id, subject;

-- What ends with its subject or its resource, beyond what foreign keys already end.
create function end_with_the_member() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  delete from grants g using old_rows o where g.organization_id = o.organization_id and g.subject = o.subject;
  return null;
end $$;
create trigger end_grants after delete on members referencing old table as old_rows
  for each statement execute function end_with_the_member();
create function end_with_the_resource() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  delete from grants g using old_rows o
   where g.organization_id = o.organization_id and g.resource_type = o.type and g.resource_id = o.id;
  return null;
end $$;
create trigger end_grants after delete on resources referencing old table as old_rows
  for each statement execute function end_with_the_resource();

select raise_revision_on('grants', 'organization_id', 'subject',
  'workspace_id, resource_type, resource_id, role_home, role_scope, role_name, permission, effect, condition, expires_at');
select protect_rows('grants', 'organization_id = current_organization()');
grant select, insert, update, delete on grants to latchkey_app, latchkey_platform;
grant select on workspace_members to latchkey_app, latchkey_platform;
