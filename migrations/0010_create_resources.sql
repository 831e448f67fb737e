-- What exists, where, whose, with what attributes.
create table resources (
  organization_id typeid not null references organizations on delete cascade,
  type type_name not null references resource_types,
  id external_id not null,
  workspace_id typeid,
  owner external_id,                            -- the id without its type, as conditions compare it
  suspended_because text,                       -- denied to everybody, before any line
  attributes jsonb not null default '{}'
    constraint resources_attributes_form check (jsonb_typeof(attributes) = 'object' and pg_column_size(attributes) < 16384),
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (organization_id, type, id),
  -- cascade, never "set null": losing its workspace would lift a resource above the workspace's denies
  foreign key (organization_id, workspace_id) references workspaces (organization_id, id) on delete cascade);
create index resources_by_workspace on resources (organization_id, workspace_id) where workspace_id is not null;

select raise_revision_on('resources', 'organization_id', 'type || '':'' || id',
  'workspace_id, owner, attributes, suspended_because');
select protect_rows('resources', 'organization_id = current_organization()');
grant select, delete,                                                                   -- not: suspended_because
  insert (organization_id, type, id, workspace_id, owner, attributes),
  update (workspace_id, owner, attributes, version, updated_at) on resources to latchkey_app;
grant select, insert, update, delete on resources to latchkey_platform;
