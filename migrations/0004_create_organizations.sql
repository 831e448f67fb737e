create table organizations (
  id typeid primary key constraint organizations_id_prefix check (starts_with(id, 'org_')),
  slug slug not null constraint organizations_slug_unique unique
    constraint organizations_slug_begins_no_path_of_ours check (slug not in ('v1', 'access', 'check', 'console', 'docs',
      'guide', 'healthz', 'readyz', 'metrics', 'n8n', 'platform', 'openapi')),
  name text not null constraint organizations_name_length check (length(btrim(name)) between 1 and 120),
  description text not null default '' constraint organizations_description_length check (length(description) <= 2000),
  logo text,
  status text not null default 'active'
    constraint organizations_status_known check (status in ('active', 'read_only', 'suspended', 'pending_deletion')),
  status_reason text,
  delete_after timestamptz,
  revision bigint not null default 1,           -- written by raise_revision() only
  revised_at timestamptz not null default now(),
  revised_by xid8 not null default pg_current_xact_id(),
  version int not null default 1,               -- ETag / If-Match; the revision must not disturb it
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint organizations_deletion_has_a_date check ((status = 'pending_deletion') = (delete_after is not null))
) with (fillfactor = 70);                       -- the revision is updated often, in place

create table slug_tombstones (slug slug primary key, organization_id typeid not null, reason text not null);

-- Status and slug decide too. Birth and end are changes.
create function note_organization_change() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    insert into policy_changes (organization_id, revision, touched, actor)
    values (old.id, old.revision + 1, array['organizations:deleted'], nullif(current_setting('latchkey.actor', true), ''));
    perform pg_notify('latchkey_policy', old.id || ' ' || old.revision + 1);
  else
    perform raise_revision(new.id, array['organizations:' || case tg_op when 'INSERT' then 'created' else new.status end]);
  end if;
  return null;
end $$;
create trigger note_born_or_gone after insert or delete on organizations
  for each row execute function note_organization_change();
create trigger note_update after update of status, slug on organizations for each row
  when ((old.status, old.slug) is distinct from (new.status, new.slug))
  execute function note_organization_change();

-- A released slug stays with the organization that had it.
create function guard_slug() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op <> 'DELETE' and exists (select 1 from slug_tombstones where slug = new.slug and organization_id <> new.id) then
    raise exception 'slug-unavailable' using errcode = 'LK004';
  end if;
  if tg_op = 'DELETE' or (tg_op = 'UPDATE' and old.slug <> new.slug) then
    insert into slug_tombstones values (old.slug, old.id, lower(tg_op)) on conflict (slug) do nothing;
  end if;
  return case tg_op when 'DELETE' then old else new end;
end $$;
create trigger guard_slug before insert or delete or update of slug on organizations
  for each row execute function guard_slug();

select protect_rows('organizations', 'id = current_organization()');
grant select, update (slug, name, description, logo, version, updated_at, status, delete_after) on organizations to latchkey_app;
grant select, insert, delete,
  update (slug, name, description, logo, version, updated_at, status, status_reason, delete_after)
  on organizations to latchkey_platform;
grant select on slug_tombstones to latchkey_platform;
