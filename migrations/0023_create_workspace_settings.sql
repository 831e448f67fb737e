-- What a workspace has set over its organization's settings; what it has not, is the organization's. No decision depends on
-- it, so a change raises no revision; the rights on the table hold for the column, too.
alter table workspaces
  add column settings jsonb not null default '{}'
    constraint workspaces_settings_form check (jsonb_typeof(settings) = 'object' and pg_column_size(settings) < 16384);

-- A workspace lists the invitations to it, and takes them along when it ends.
create index invitation_roles_by_workspace on invitation_roles (organization_id, workspace_id) where workspace_id is not null;
