-- What an organization has set; what it has not, has its default, which stands in the code (src/settings/schema.ts). Security
-- is apart: it decides, so a change of it raises the revision, and it has a permission of its own.
alter table organizations
  add column settings jsonb not null default '{}'
    constraint organizations_settings_form check (jsonb_typeof(settings) = 'object' and pg_column_size(settings) < 16384),
  add column security jsonb not null default '{}'
    constraint organizations_security_form check (jsonb_typeof(security) = 'object' and pg_column_size(security) < 16384);

create trigger note_security after update of security on organizations for each row
  when (old.security is distinct from new.security)
  execute function note_organization_change();

grant update (settings, security) on organizations to latchkey_app, latchkey_platform;
