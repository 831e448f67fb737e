-- A role is named by (home, scope, name): `admin` and `guest` exist both as organization and as workspace role,
-- `moderator` as workspace and as platform role, and must never be mistaken for each other.
create table roles (
  organization_id typeid references organizations on delete cascade,    -- null = built-in
  home text collate "C" not null generated always as (coalesce(organization_id::text, 'platform')) stored,
  scope scope not null,
  name role_name not null,
  description text not null default '' constraint roles_description_length check (length(description) <= 500),
  holds_every_permission boolean not null default false,   -- of its scope and narrower: `owner`, `super_admin`
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (home, scope, name),
  constraint roles_of_an_organization_are_not_platform_roles check (organization_id is null or scope <> 'platform'),
  constraint roles_holding_everything_are_built_in check (not holds_every_permission or organization_id is null));
create unique index roles_custom_name_unique on roles (organization_id, name) where organization_id is not null;

create table role_permissions (
  role_home text collate "C" not null,
  role_scope scope not null,
  role_name role_name not null,
  permission permission_key not null,
  permission_scope scope not null,
  condition text constraint role_permissions_condition_length check (length(condition) between 1 and 1024),  -- "its own"
  primary key (role_home, role_scope, role_name, permission),
  foreign key (role_home, role_scope, role_name) references roles on delete cascade,
  constraint role_permissions_known foreign key (permission, permission_scope) references permissions (key, scope),
  constraint role_permissions_no_wider_than_the_role check (permission_scope <= role_scope));
create index role_permissions_by_permission on role_permissions (permission);

create table role_inherits (
  role_home text collate "C" not null,
  role_scope scope not null,
  role_name role_name not null,
  parent_home text collate "C" not null,
  parent_scope scope not null,
  parent_name role_name not null,
  primary key (role_home, role_scope, role_name, parent_home, parent_scope, parent_name),
  foreign key (role_home, role_scope, role_name) references roles on delete cascade,
  constraint role_inherits_parent_in_use foreign key (parent_home, parent_scope, parent_name) references roles
    deferrable initially deferred,
  constraint role_inherits_own_or_built_in check (parent_home = role_home or parent_home = 'platform'),
  constraint role_inherits_no_wider_than_the_role check (parent_scope <= role_scope),
  constraint role_inherits_never_owner
    check (not (parent_home = 'platform' and parent_scope = 'organization' and parent_name = 'owner')));
create index role_inherits_by_parent on role_inherits (parent_home, parent_scope, parent_name);

-- Roles inherit through at most 10 links, without a cycle. The longest path through the new link is what counts.
create function refuse_role_cycle() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare above int; below int; cycle boolean;
begin
  with recursive up (home, scope, name, links) as (
    select new.parent_home, new.parent_scope, new.parent_name::text, 1
    union select i.parent_home, i.parent_scope, i.parent_name::text, up.links + 1 from up
      join role_inherits i on (i.role_home, i.role_scope, i.role_name) = (up.home, up.scope, up.name) where up.links <= 10)
  select max(links), bool_or((home, scope, name) = (new.role_home, new.role_scope, new.role_name)) into above, cycle from up;
  if cycle then raise exception 'inheritance-cycle' using errcode = 'LK005'; end if;
  with recursive down (home, scope, name, links) as (
    select new.role_home, new.role_scope, new.role_name::text, 0
    union select i.role_home, i.role_scope, i.role_name::text, down.links + 1 from down
      join role_inherits i on (i.parent_home, i.parent_scope, i.parent_name) = (down.home, down.scope, down.name)
     where down.links <= 10)
  select max(links) into below from down;
  if above + below > 10 then raise exception 'inheritance-too-deep' using errcode = 'LK006'; end if;
  return null;
end $$;
create constraint trigger role_inherits_no_cycle after insert or update on role_inherits
  deferrable initially deferred for each row execute function refuse_role_cycle();

select raise_revision_on('roles', 'home', 'scope || ''/'' || name', 'holds_every_permission');
select raise_revision_on('role_permissions', 'role_home', 'role_scope || ''/'' || role_name', 'permission, condition');
select raise_revision_on('role_inherits', 'role_home', 'role_scope || ''/'' || role_name',
  'parent_home, parent_scope, parent_name');

-- Built-in roles are everybody's to read, nobody's to write.
select protect_rows('roles', 'home = current_organization()', 'home in (''platform'', current_organization())');
select protect_rows('role_permissions', 'role_home = current_organization()', 'role_home in (''platform'', current_organization())');
select protect_rows('role_inherits', 'role_home = current_organization()', 'role_home in (''platform'', current_organization())');
grant select, insert, update, delete on roles, role_permissions, role_inherits to latchkey_app, latchkey_platform;
