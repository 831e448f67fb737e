create table workspaces (
  id typeid primary key constraint workspaces_id_prefix check (starts_with(id, 'wsp_')),
  organization_id typeid not null references organizations on delete cascade,
  slug slug not null,
  name text not null constraint workspaces_name_length check (length(btrim(name)) between 1 and 120),
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint workspaces_slug_unique unique (organization_id, slug),
  unique (organization_id, id));                -- so that others can reference the pair

select raise_revision_on('workspaces', 'organization_id', 'id', 'slug');
select protect_rows('workspaces', 'organization_id = current_organization()');
grant select, insert, update, delete on workspaces to latchkey_app, latchkey_platform;
