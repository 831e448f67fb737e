-- Belonging permits nothing; grants do.
create table members (
  organization_id typeid not null references organizations on delete cascade,
  subject subject not null constraint members_can_ask check (subject !~ '^(team|role|key):'),
  is_owner boolean not null default false,      -- ownership is a fact of the membership, not a role that is granted
  status text not null default 'active' constraint members_status_known check (status in ('active', 'suspended')),
  attributes jsonb not null default '{}'        -- what conditions read as subject.…
    constraint members_attributes_form check (jsonb_typeof(attributes) = 'object' and pg_column_size(attributes) < 16384),
  source text not null default 'manual'
    constraint members_source_known check (source in ('manual', 'invitation', 'import', 'scim', 'sso', 'domain')),
  expires_at timestamptz,
  joined_at timestamptz not null default now(),
  version int not null default 1,
  primary key (organization_id, subject),
  constraint members_owner_does_not_expire check (not (is_owner and expires_at is not null)));
create index members_by_subject on members (subject);

-- An organization always has an active owner at commit; until then a transfer may take away first and give later.
-- Every policy write raises the organization's revision, an update of its row: who gets here holds that row.
create function require_owner() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare organization text;
begin
  if tg_table_name = 'organizations' then organization := new.id; else organization := old.organization_id; end if;
  if exists (select 1 from organizations where id = organization)
     and not exists (select 1 from members where organization_id = organization and is_owner and status = 'active') then
    raise exception 'last-owner' using errcode = 'LK002';
  end if;
  return null;
end $$;
create constraint trigger organizations_have_an_owner after insert on organizations
  deferrable initially deferred for each row execute function require_owner();
create constraint trigger members_keep_an_owner after update or delete on members
  deferrable initially deferred for each row when (old.is_owner and old.status = 'active') execute function require_owner();

select raise_revision_on('members', 'organization_id', 'subject', 'is_owner, status, attributes, expires_at');
select protect_rows('members', 'organization_id = current_organization()');
grant select, insert, update, delete on members to latchkey_app, latchkey_platform;
