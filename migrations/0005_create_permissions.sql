create table resource_types (
  type type_name primary key,
  strict boolean not null default false,        -- strict: a check on an unregistered resource is denied
  description text not null default '' constraint resource_types_description_length check (length(description) <= 500));

create table permissions (
  key permission_key primary key,
  resource_type type_name not null generated always as (split_part(key, ':', 1)) stored references resource_types,
  scope scope not null,                         -- the widest place where it means something
  pack text not null default 'custom',
  description text not null default '' constraint permissions_description_length check (length(description) <= 500),
  unique (key, scope));                         -- so that a reference can carry the scope, and the scope of a used one stays

select raise_revision_on('permissions', '''platform''', 'key', 'scope');
select raise_revision_on('resource_types', '''platform''', 'type', 'strict');

grant select on resource_types, permissions to latchkey_app;
grant select, insert, update, delete on resource_types, permissions to latchkey_platform;
