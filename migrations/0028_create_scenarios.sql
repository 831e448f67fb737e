-- Scenarios: what a workspace builds, as JSON. Each is a registered resource, so its place, its owner and what is granted on it
-- stand where those of all resources stand.
create table scenarios (
  organization_id typeid not null,
  id typeid not null constraint scenarios_id_prefix check (starts_with(id, 'scn_')),
  resource_type type_name not null default 'scenario' constraint scenarios_are_scenarios check (resource_type = 'scenario'),
  name text not null constraint scenarios_name_length check (length(btrim(name)) between 1 and 120),
  -- Canonical JSON (RFC 8785), so that equal definitions are equal bytes.
  definition text not null constraint scenarios_size check (octet_length(definition) between 2 and 1048576),
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (organization_id, id),
  constraint scenarios_are_registered foreign key (organization_id, resource_type, id) references resources on delete cascade);

select count_rows_of('scenarios', 'scenarios', 'true');
select protect_rows('scenarios', 'organization_id = current_organization()');
grant select, delete, insert (organization_id, id, name, definition), update (name, definition, version, updated_at)
  on scenarios to latchkey_app;
grant select, insert, update, delete on scenarios to latchkey_platform;
