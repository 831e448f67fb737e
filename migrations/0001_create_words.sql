-- The words every table uses, the platform's own row, and the two roles that serve requests.
-- A constraint's name is the rule it keeps; src/platform/db/violation.ts turns names into problem codes.
-- Rules no constraint can state raise: LK002 last-owner, LK004 slug-unavailable, LK005 inheritance-cycle,
-- LK006 inheritance-too-deep, LK007 truncate-refused.
-- collate "C": the same order, and so the same pages, on every server and on embedded storage.

create domain typeid as text collate "C"
  constraint typeid_form check (value ~ '^[a-z]{3}_[0-7][0-9a-hjkmnp-tv-z]{25}$');
create domain slug as text collate "C"
  constraint slug_form check (value ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' and value !~ '^xn--');
-- Chosen by somebody else, so any characters; bounded, because it is indexed.
create domain external_id as text collate "C"
  constraint external_id_length check (octet_length(value) between 1 and 512);
-- user:alice, service:ci, identity:rick, team:eng, key:key_…
create domain subject as text collate "C"
  constraint subject_form check (value ~ '^[^[:space:]*/,:]+:.+$' and octet_length(value) <= 512);
create domain role_name as text collate "C"
  constraint role_name_form check (value ~ '^[a-z0-9][a-z0-9._-]{0,63}$');
create domain type_name as text collate "C"
  constraint type_name_form check (value ~ '^[^[:space:]*/,:]{1,64}$');
create domain permission_key as text collate "C"
  constraint permission_key_form
    check (value ~ '^[^[:space:]*/,:]+:[^[:space:]*/,]+$' and octet_length(value) <= 200);

-- Narrow to wide: <= reads "no wider than".
create type scope as enum ('workspace', 'organization', 'platform');

-- One row: the revision of what all organizations share.
create table platform (
  id int primary key default 1 constraint platform_is_one_row check (id = 1),
  revision bigint not null default 1,
  revised_at timestamptz not null default now(),
  revised_by xid8 not null default pg_current_xact_id());
insert into platform default values;

-- latchkey_app serves requests inside one organization (latchkey.organization names it, per transaction);
-- latchkey_platform serves operators, the policy loader and what is looked up before the organization is known.
-- Neither owns a table, so row-level security binds the first and column privileges bind both.
do $$ begin
  if not exists (select 1 from pg_roles where rolname = 'latchkey_app') then create role latchkey_app nologin; end if;
  if not exists (select 1 from pg_roles where rolname = 'latchkey_platform') then create role latchkey_platform nologin; end if;
  -- A database user that is no superuser must be allowed to become them.
  execute format('grant latchkey_app, latchkey_platform to %I', current_user);
exception when duplicate_object then null;   -- another database of this cluster was quicker
end $$;

-- After a transaction with a local setting the setting is '', not null.
create function current_organization() returns text language sql stable parallel safe as
  $$ select nullif(current_setting('latchkey.organization', true), '') $$;

-- Rows of a table are seen and written in their own organization only; the platform role sees all.
create function protect_rows(name text, may_write text, may_see text default null) returns void language plpgsql as $$
begin
  execute format('alter table %I enable row level security', name);
  execute format('create policy own on %I to latchkey_app using (%s) with check (%s)', name, may_write, may_write);
  if may_see is not null then
    execute format('create policy visible on %I for select to latchkey_app using (%s)', name, may_see);
  end if;
  execute format('create policy everything on %I to latchkey_platform using (true) with check (true)', name);
end $$;

grant select on platform to latchkey_app, latchkey_platform;
