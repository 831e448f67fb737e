-- Domains of e-mail addresses. A claim without proof grants nothing and blocks nobody.
create table organization_domains (
  organization_id typeid not null references organizations on delete cascade,
  domain text collate "C" not null
    constraint domains_form check (domain ~ '^[a-z0-9_-]+(\.[a-z0-9_-]+)+$' and octet_length(domain) <= 253),
  state text collate "C" not null default 'pending'
    constraint domains_state_known check (state in ('pending', 'verified', 'lapsed')),
  enrollment text collate "C" not null default 'manual'
    constraint domains_enrollment_known check (enrollment in ('manual', 'suggest', 'auto_join')),
  -- What joining gives: an organization role, own or built-in; nothing where it was deleted since.
  role_home text collate "C",
  role_scope scope,
  role_name role_name,
  enroller jsonb,                               -- who chose the enrollment: whose permissions are asked again when somebody joins
  txt_token text collate "C" not null constraint domains_token_form check (txt_token ~ '^[0-9a-f]{32}$'),
  failures int not null default 0 constraint domains_failures_count check (failures >= 0),
  verified_at timestamptz,
  checked_at timestamptz,
  created_at timestamptz not null default now(),
  version int not null default 1,
  primary key (organization_id, domain),
  constraint domains_enrollment_needs_proof check (enrollment = 'manual' or state = 'verified'),
  constraint domains_joining_has_an_enroller check (enrollment <> 'auto_join' or enroller is not null),
  foreign key (role_home, role_scope, role_name) references roles on delete set null,
  constraint domains_role_own_or_built_in check (role_home in ('platform', organization_id)),
  constraint domains_role_fits_the_place check (role_scope = 'organization'),
  constraint domains_role_ownership_is_a_flag check (not (role_home = 'platform' and role_name = 'owner')));
create unique index domains_one_verified_owner on organization_domains (domain) where state = 'verified';
create index organization_domains_by_check on organization_domains (checked_at) where state = 'verified';
create index organization_domains_by_role on organization_domains (role_home, role_scope, role_name);

select protect_rows('organization_domains', 'organization_id = current_organization()');
grant select, insert, update, delete on organization_domains to latchkey_app, latchkey_platform;
