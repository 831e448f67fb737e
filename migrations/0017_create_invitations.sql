-- Invitations: bound to an address, single-use. The token is made when the mail is sent and stands in it alone; here is its
-- hash. A pending one per address; what it will give is fixed when it is written, and asked again when it is accepted.
create table invitations (
  id typeid primary key constraint invitations_id_prefix check (starts_with(id, 'inv_')),
  organization_id typeid not null references organizations on delete cascade,
  email text collate "C" not null
    constraint invitations_email_form check (email = lower(email) and email ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  as_owner boolean not null default false,
  token_hash bytea constraint invitations_token_unique unique
    constraint invitations_hold_a_hash check (octet_length(token_hash) = 32),          -- SHA-256 of 32 random bytes
  status text collate "C" not null default 'pending'
    constraint invitations_status_known check (status in ('pending', 'accepted', 'declined', 'revoked', 'expired')),
  invited_by subject not null,
  inviter jsonb not null,                       -- whose permissions are asked again at acceptance
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  sent_count int not null default 0,
  sent_at timestamptz,
  accepted_by subject,
  ended_at timestamptz,
  version int not null default 1,
  unique (organization_id, id),
  constraint invitations_accepted_by_somebody check ((status = 'accepted') = (accepted_by is not null)),
  constraint invitations_ended_have_a_time check ((status = 'pending') = (ended_at is null)));
create unique index invitations_one_pending_per_address on invitations (organization_id, email) where status = 'pending';
create index invitations_by_inviter on invitations (organization_id, invited_by) where status = 'pending';
create index invitations_by_expiry on invitations (expires_at) where status = 'pending';

-- What accepting will give.
create table invitation_roles (
  organization_id typeid not null,
  invitation_id typeid not null,
  workspace_id typeid,
  role_home text collate "C" not null,
  role_scope scope not null,
  role_name role_name not null,
  constraint invitation_roles_once unique nulls not distinct (invitation_id, workspace_id, role_home, role_scope, role_name),
  foreign key (organization_id, invitation_id) references invitations (organization_id, id) on delete cascade,
  foreign key (organization_id, workspace_id) references workspaces (organization_id, id) on delete cascade,
  -- A role that goes takes its place in invitations along; accepting then gives less, never more.
  foreign key (role_home, role_scope, role_name) references roles on delete cascade,
  constraint invitation_roles_own_or_built_in check (role_home in ('platform', organization_id)),
  constraint invitation_roles_fit_the_place
    check (role_scope = 'organization' or (role_scope = 'workspace' and workspace_id is not null)),
  constraint invitation_roles_ownership_is_a_flag
    check (not (role_home = 'platform' and role_scope = 'organization' and role_name = 'owner')));
create index invitation_roles_by_role on invitation_roles (role_home, role_scope, role_name);

-- Whoever leaves takes along what they have sent.
create function revoke_sent_invitations() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update invitations i set status = 'revoked', ended_at = now(), token_hash = null, version = i.version + 1
    from old_rows o
   where i.organization_id = o.organization_id and i.invited_by = o.subject and i.status = 'pending';
  return null;
end $$;
create trigger revoke_sent_invitations after delete on members referencing old table as old_rows
  for each statement execute function revoke_sent_invitations();

select protect_rows('invitations', 'organization_id = current_organization()');
select protect_rows('invitation_roles', 'organization_id = current_organization()');
grant select, insert, update on invitations to latchkey_app, latchkey_platform;
grant select, insert on invitation_roles to latchkey_app, latchkey_platform;
