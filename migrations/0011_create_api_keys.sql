-- Presented as lk_<id>_<secret>; as a subject key:<id>. Only a hash is stored.
create table api_keys (
  id typeid primary key constraint api_keys_id_prefix check (starts_with(id, 'key_')),
  organization_id typeid references organizations on delete cascade,    -- null = an operator's key
  member subject,                               -- personal: ends with the member, never holds more than the member
  restricted boolean not null default true,     -- a personal key without roles or permissions of its own holds what its member holds
  name text not null constraint api_keys_name_length check (length(btrim(name)) between 1 and 120),
  secret_hash bytea not null constraint api_keys_hold_a_hash check (octet_length(secret_hash) = 32),
  previous_secret_hash bytea constraint api_keys_hold_a_previous_hash check (octet_length(previous_secret_hash) = 32),
  previous_expires_at timestamptz,              -- until then the secret before the last rotation is still accepted
  created_by text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz,
  version int not null default 1,
  unique (organization_id, id),
  constraint api_keys_unrestricted_ones_are_personal check (restricted or member is not null),
  constraint api_keys_personal_ones_end_with_the_member
    foreign key (organization_id, member) references members on delete cascade);
create index api_keys_by_member on api_keys (organization_id, member);

select raise_revision_on('api_keys', 'organization_id', 'id',
  'member, restricted, secret_hash, previous_secret_hash, previous_expires_at, expires_at, revoked_at');
select protect_rows('api_keys', 'organization_id = current_organization()');
grant select, insert, update, delete on api_keys to latchkey_app, latchkey_platform;
