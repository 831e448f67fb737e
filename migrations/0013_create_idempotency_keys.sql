-- What a POST that creates has answered, so that a retry of it answers the same and creates nothing.
-- Written in the transaction of the change: a key is taken if and only if the change was made.
create table idempotency_keys (
  actor text collate "C" not null,
  key text collate "C" not null constraint idempotency_keys_length check (length(key) between 1 and 255),
  organization_id typeid references organizations on delete cascade,
  request_hash bytea not null constraint idempotency_keys_hold_a_hash check (octet_length(request_hash) = 32),
  answer jsonb,
  revision text,
  created_at timestamptz not null default now(),
  primary key (actor, key));
create index idempotency_keys_by_time on idempotency_keys (created_at);

select protect_rows('idempotency_keys', 'organization_id = current_organization()');
grant select, insert, update, delete on idempotency_keys to latchkey_app, latchkey_platform;
