-- Templates: publishers, categories, listings, versions, what moderators decide. LK003 version-immutable, LK008 not-approved,
-- LK011 listing-is-moderated.

create table publishers (
  organization_id typeid primary key references organizations on delete cascade,
  handle slug not null constraint publishers_handle_unique unique,
  domain text collate "C",                      -- one of the organization's own; what proves it proves the publisher
  verified_at timestamptz,                      -- written by the trigger below, or by a moderator
  verified_by text collate "C" constraint publishers_verified_by_known check (verified_by in ('domain', 'moderator')),
  status text collate "C" not null default 'active' constraint publishers_status_known check (status in ('active', 'banned')),
  status_reason text,
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint publishers_domain_claimed foreign key (organization_id, domain) references organization_domains on delete set null (domain),
  constraint publishers_verified_somehow check ((verified_at is null) = (verified_by is null)));

create function prove_publisher() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  -- What a moderator has seen is this handle: another one is proven anew.
  if new.verified_by is not distinct from 'moderator' and (tg_op = 'INSERT' or new.handle = old.handle) then return new; end if;
  if exists (select 1 from organization_domains d
      where d.organization_id = new.organization_id and d.domain = new.domain and d.state = 'verified') then
    new.verified_at := coalesce(new.verified_at, now());
    new.verified_by := 'domain';
  else
    new.verified_at := null;
    new.verified_by := null;
  end if;
  return new;
end $$;
create trigger prove_publisher before insert or update on publishers for each row execute function prove_publisher();
-- Touched, so that the trigger above looks again.
create function prove_publishers_anew() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update publishers set updated_at = now() where organization_id = new.organization_id and domain = new.domain;
  return null;
end $$;
create trigger prove_publishers_anew after update of state on organization_domains
  for each row when (old.state is distinct from new.state) execute function prove_publishers_anew();

create table categories (
  slug slug primary key,
  number int generated always as identity unique,
  name text not null constraint categories_name_length check (length(btrim(name)) between 1 and 80),
  parent slug references categories constraint categories_not_its_own_parent check (parent <> slug));
insert into categories (slug, name) values
  ('automation', 'Automation'), ('communication', 'Communication'), ('data', 'Data'), ('development', 'Development'),
  ('finance', 'Finance'), ('it-operations', 'IT operations'), ('marketing', 'Marketing'), ('people', 'People'),
  ('productivity', 'Productivity'), ('sales', 'Sales'), ('security', 'Security'), ('support', 'Support'), ('other', 'Other');

create function words_of(name text, summary text, tags text[]) returns tsvector language sql immutable parallel safe as $$
  select setweight(to_tsvector('pg_catalog.english', name), 'A')
      || setweight(to_tsvector('pg_catalog.english', summary || ' ' || array_to_string(tags, ' ')), 'B') $$;

-- What the marketplace knows of itself: the mean of all ratings, which a template with few of its own is drawn to.
create table marketplace_figures (
  id int primary key default 1 constraint marketplace_figures_is_one_row check (id = 1),
  rating_mean real not null default 3.5 constraint marketplace_figures_mean check (rating_mean between 1 and 5),
  computed_at timestamptz not null default now());
insert into marketplace_figures default values;

create table templates (                        -- narrow on purpose: a search reads these rows by the thousand
  id typeid primary key constraint templates_id_prefix check (starts_with(id, 'tpl_')),
  number int generated always as identity unique,           -- clients of n8n's catalog want a number
  organization_id typeid not null references organizations on delete cascade,
  slug slug not null,
  kind text collate "C" not null default 'scenario' constraint templates_kind_known check (kind in ('scenario', 'role_pack')),
  name text not null constraint templates_name_length check (length(btrim(name)) between 1 and 120),
  summary text not null default '' constraint templates_summary_length check (length(summary) <= 280),
  category slug not null references categories on update cascade,
  tags text[] not null default '{}' constraint templates_tags_count check (cardinality(tags) <= 12),
  integrations text[] not null default '{}',                -- of the newest published version, computed by the server
  license text collate "C" not null constraint templates_license_length check (length(license) between 1 and 64),   -- SPDX id; not a price
  pricing text collate "C" not null default 'free' constraint templates_pricing_known check (pricing in ('free', 'paid')),
  visibility text collate "C" not null default 'private'
    constraint templates_visibility_known check (visibility in ('private', 'unlisted', 'public')),
  listing text collate "C" not null default 'draft'
    constraint templates_listing_known check (listing in ('draft', 'in_review', 'listed', 'rejected', 'delisted', 'taken_down')),
  listing_reason text,                                      -- public, where it was taken down
  is_official boolean not null default false,               -- set by moderators
  derived_from typeid,                                      -- a version of another template
  deprecated_at timestamptz, deprecation_note text, successor_id typeid references templates on delete set null,
  rating_sum bigint not null default 0, rating_count int not null default 0,
  rating_score real not null default 0,                     -- drawn to the mean of all where there are few
  install_count bigint not null default 0,                  -- organizations that have it installed
  popularity real not null default 0,                       -- rating, installations and age as one number, recomputed by a job
  trending real not null default 0,                         -- installing organizations of thirty days, newer ones more, by the same job
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  content_updated_at timestamptz not null default now(),    -- a download or a rating does not move it
  version int not null default 1,
  words tsvector generated always as (words_of(name, summary, tags)) stored,
  publisher_id typeid generated always as (case when visibility <> 'private' then organization_id::text end) stored
    constraint templates_outside_need_a_publisher references publishers,
  constraint templates_slug_unique unique (organization_id, slug),
  constraint templates_listed_are_public check (listing <> 'listed' or visibility = 'public')) with (fillfactor = 80);
create index templates_words on templates using gin (words) where listing = 'listed';
create index templates_tags on templates using gin (tags) where listing = 'listed';
create index templates_integrations on templates using gin (integrations) where listing = 'listed';
create index templates_by_category on templates (category) where listing = 'listed';
create index templates_popular on templates (popularity desc, id) where listing = 'listed';
create index templates_trending on templates (trending desc, id) where listing = 'listed';
create index templates_rated on templates (rating_score desc, id) where listing = 'listed';
create index templates_newest on templates (content_updated_at desc, id) where listing = 'listed';
create index templates_by_name on templates (lower(name)) where listing = 'listed';
select count_rows_of('templates', 'templates', 'true');

create table template_descriptions (            -- the long text, Markdown
  template_id typeid primary key references templates on delete cascade,
  description text not null constraint template_descriptions_length check (length(description) <= 40000),
  -- searched when the narrow rows find too little
  words tsvector not null generated always as (to_tsvector('pg_catalog.english', description)) stored);
create index template_descriptions_words on template_descriptions using gin (words);

create table template_words (                   -- for "did you mean"; a job fills it
  word text collate "C" primary key,
  templates int not null);

create table template_versions (
  id typeid primary key constraint template_versions_id_prefix check (starts_with(id, 'ver_')),
  template_id typeid not null references templates on delete cascade,
  major int not null, minor int not null, patch int not null,
  prerelease text collate "C" constraint template_versions_prerelease_form
    check (prerelease ~ '^(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*$' and length(prerelease) <= 64),
  version text collate "C" not null generated always as (major || '.' || minor || '.' || patch || coalesce('-' || prerelease, '')) stored,
  -- Canonical JSON (RFC 8785): integrity is the hash of exactly these bytes.
  definition text not null,
  integrity text collate "C" not null constraint template_versions_integrity_form check (integrity ~ '^sha256-[A-Za-z0-9+/]{43}=$'),
  size_bytes int not null constraint template_versions_size check (size_bytes between 2 and 1048576 and size_bytes = octet_length(definition)),
  schema_version int not null default 1,
  capabilities jsonb not null,                              -- computed by the server from the definition, never sent in
  inputs jsonb not null default '[]',                       -- what an installer must fill in
  changelog text not null default '' constraint template_versions_changelog_length check (length(changelog) <= 20000),
  status text collate "C" not null default 'draft'
    constraint template_versions_status_known check (status in ('draft', 'submitted', 'published', 'rejected', 'yanked', 'blocked')),
  status_reason text,                                       -- public, where it was yanked or blocked
  approved_integrity text collate "C",                      -- set by the moderator's decision
  published_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  edit int not null default 1,                              -- ETag / If-Match of what can still be edited
  constraint template_versions_numbers check (major >= 0 and minor >= 0 and patch >= 0),
  constraint template_versions_number_unique unique (template_id, version),
  unique (template_id, id),
  constraint template_versions_approval_is_for_these_bytes check (approved_integrity = integrity));
create index template_versions_order on template_versions (template_id, major desc, minor desc, patch desc, (prerelease is null) desc);
alter table templates add foreign key (derived_from) references template_versions on delete set null;

-- From submission on a version's content stands; a number once published is never free again.
create function guard_version() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare fixed text[] := array['id', 'template_id', 'major', 'minor', 'patch', 'prerelease', 'definition', 'integrity',
                              'size_bytes', 'schema_version', 'capabilities', 'inputs'];
begin
  -- Rejecting, blocking and what lifts them are decisions of moderators.
  if tg_op = 'UPDATE' and new.status <> old.status and current_setting('role', true) = 'latchkey_app'
    and (old.status, new.status) not in (('draft', 'submitted'), ('rejected', 'submitted'), ('draft', 'published'),
      ('rejected', 'published'), ('rejected', 'draft'), ('submitted', 'draft'), ('published', 'yanked'), ('yanked', 'published')) then
    raise exception 'listing-is-moderated' using errcode = 'LK011';
  end if;
  if old.status in ('draft', 'rejected') then return case tg_op when 'DELETE' then old else new end; end if;
  if tg_op = 'DELETE' then
    if not exists (select 1 from templates where id = old.template_id) then return old; end if;   -- the whole template is going
  elsif not exists (select 1 from unnest(fixed) f where to_jsonb(old) -> f is distinct from to_jsonb(new) -> f)
    and (old.status = 'submitted' or new.status in ('published', 'yanked', 'blocked')) then return new;
  end if;
  raise exception 'version-immutable' using errcode = 'LK003';
end $$;
create trigger guard_version before update or delete on template_versions for each row execute function guard_version();

-- Listed means: some published version whose bytes a moderator approved. Once approved for others, a template is withdrawn, not
-- deleted; only with its organization it ends. Its organization asks for a review and withdraws; moderators list, reject and take
-- down, and what they have read stays as they read it until they approve a change.
create function guard_listing() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    if old.listing in ('draft', 'in_review', 'rejected')
        and not exists (select 1 from template_versions v where v.template_id = old.id and v.approved_integrity is not null)
      or not exists (select 1 from organizations where id = old.organization_id) then return old; end if;
    raise exception 'template-was-listed' using errcode = 'LK003';
  end if;
  if current_setting('role', true) = 'latchkey_app' and new.listing is distinct from (case tg_op when 'UPDATE' then old.listing else 'draft' end)
    and not (tg_op = 'UPDATE' and (old.listing, new.listing) in (('draft', 'in_review'), ('rejected', 'in_review'), ('in_review', 'draft'),
      ('listed', 'delisted'), ('delisted', 'listed'), ('delisted', 'in_review'))) then
    raise exception 'listing-is-moderated' using errcode = 'LK011';
  end if;
  if tg_op = 'UPDATE' and current_setting('role', true) = 'latchkey_app' and old.listing in ('listed', 'delisted', 'taken_down')
    and (new.slug, new.name, new.summary, new.category, new.tags, new.license)
      is distinct from (old.slug, old.name, old.summary, old.category, old.tags, old.license) then
    raise exception 'listing-is-moderated' using errcode = 'LK011';
  end if;
  -- What others may have, or have bought, does not vanish under them.
  if tg_op = 'UPDATE' and current_setting('role', true) = 'latchkey_app' and new.visibility = 'private' and old.visibility <> 'private'
    and exists (select 1 from template_versions v where v.template_id = new.id and v.approved_integrity is not null) then
    raise exception 'template-was-listed' using errcode = 'LK003';
  end if;
  if new.listing = 'listed' and not exists (select 1 from template_versions v
       where v.template_id = new.id and v.status in ('published', 'yanked') and v.approved_integrity is not null) then
    raise exception 'not-approved' using errcode = 'LK008';
  end if;
  return new;
end $$;
create trigger guard_listing before insert or delete or update of listing, visibility, slug, name, summary, category, tags, license
  on templates for each row execute function guard_listing();
create function guard_description() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if current_setting('role', true) = 'latchkey_app' and exists (select 1 from templates t
      where t.id = coalesce(new.template_id, old.template_id) and t.listing in ('listed', 'delisted', 'taken_down')) then
    raise exception 'listing-is-moderated' using errcode = 'LK011';
  end if;
  return case tg_op when 'DELETE' then old else new end;
end $$;
create trigger guard_description before insert or update or delete on template_descriptions
  for each row execute function guard_description();

create table moderation_cases (
  id typeid primary key constraint moderation_cases_id_prefix check (starts_with(id, 'cas_')),
  kind text collate "C" not null
    constraint moderation_cases_kind_known check (kind in ('submission', 'edit', 'report', 'appeal')),
  template_id typeid not null references templates on delete cascade,
  version_id typeid,
  proposed jsonb,                                           -- of an edit: the text that shows once it is approved
  appeals typeid,                                           -- of an appeal: the removal it is about
  opened_by text collate "C" not null,
  opened_at timestamptz not null default now(),
  state text collate "C" not null default 'open'
    constraint moderation_cases_state_known check (state in ('open', 'approved', 'rejected', 'withdrawn')),
  reason_code text collate "C",
  note text constraint moderation_cases_note_length check (length(note) <= 4000),
  checks jsonb not null default '[]',                       -- what the automatic checks said
  decided_by text collate "C", decided_at timestamptz, decision_note text,
  foreign key (template_id, version_id) references template_versions (template_id, id) on delete cascade,
  constraint moderation_cases_submission_names_a_version check (kind <> 'submission' or version_id is not null),
  constraint moderation_cases_edit_proposes check ((kind = 'edit') = (proposed is not null)),
  constraint moderation_cases_appeal_names_a_removal check ((kind = 'appeal') = (appeals is not null)),
  constraint moderation_cases_decided_by_somebody check ((state in ('approved', 'rejected')) = (decided_by is not null)),
  constraint moderation_cases_refusal_has_a_reason check (state <> 'rejected' or reason_code is not null),
  constraint moderation_cases_nobody_decides_their_own check (decided_by <> opened_by));
create unique index moderation_cases_one_open_submission on moderation_cases (version_id) where kind = 'submission' and state = 'open';
create unique index moderation_cases_one_open_edit on moderation_cases (template_id) where kind = 'edit' and state = 'open';
create unique index moderation_cases_one_open_report on moderation_cases (template_id, opened_by) where kind = 'report' and state = 'open';
create unique index moderation_cases_one_open_appeal on moderation_cases (appeals) where kind = 'appeal' and state = 'open';
create index moderation_cases_queue on moderation_cases (state, opened_at, id);
create index moderation_cases_by_template on moderation_cases (template_id, opened_at);

-- The public log of removals. Names are copied, so that history outlives what it is about.
create table removals (
  id typeid primary key constraint removals_id_prefix check (starts_with(id, 'rmv_')),
  template_id typeid not null,
  organization_id typeid not null,                          -- the publisher's, as it was
  template_name text not null,
  handle slug not null,
  version text collate "C",                                 -- of one version only, or null for the whole template
  reason_code text collate "C" not null,
  note text not null constraint removals_note_length check (length(note) <= 4000),
  removed_by text collate "C" not null,
  at timestamptz not null default now(),
  lifted_at timestamptz, lifted_by text collate "C");
create index removals_newest on removals (at desc, id);
create index removals_by_template on removals (template_id);

create table advisories (
  id typeid primary key constraint advisories_id_prefix check (starts_with(id, 'adv_')),
  template_id typeid not null references templates on delete cascade,
  affected_range text collate "C" not null,                 -- semver range
  severity text collate "C" not null constraint advisories_severity_known check (severity in ('low', 'medium', 'high', 'critical')),
  summary text not null constraint advisories_summary_length check (length(summary) between 1 and 2000),
  fixed_in text collate "C",
  published_by text collate "C" not null, published_at timestamptz not null default now(), withdrawn_at timestamptz);
create index advisories_by_template on advisories (template_id);

do $$
declare
  own constant text := 'organization_id = current_organization()';
  of_visible constant text := 'exists (select 1 from templates t where t.id = template_id)';
  of_own constant text := 'exists (select 1 from templates t where t.id = template_id and t.organization_id = current_organization())';
begin
  perform protect_rows('publishers', own, 'true');
  -- A foreign private template does not exist, and what belongs to it does not either; bytes that no moderator approved do not
  -- exist outside their organization.
  perform protect_rows('templates', own, own || ' or visibility <> ''private''');
  perform protect_rows('template_versions', of_own, of_own || ' or approved_integrity is not null and ' || of_visible);
  perform protect_rows('template_descriptions', of_own, of_visible);
  -- Its own submissions, edits and appeals; who reported what is the moderators' to know.
  perform protect_rows('moderation_cases', of_own || ' and kind <> ''report''');
  perform protect_rows('advisories', of_own, of_visible);
end $$;

grant select on categories, template_words, marketplace_figures, removals to latchkey_app;
-- What a moderator or a job decides, an organization reads at most.
grant select, insert (organization_id, handle, domain), update (handle, domain, version, updated_at) on publishers to latchkey_app;
grant select, delete,                                       -- not: is_official, ratings, counts
  insert (id, organization_id, slug, kind, name, summary, category, tags, license, pricing, visibility, derived_from, integrations),
  update (slug, name, summary, category, tags, license, pricing, visibility, listing, deprecated_at, deprecation_note, successor_id,
          content_updated_at, updated_at, version, integrations) on templates to latchkey_app;
grant select, insert, update, delete on template_descriptions to latchkey_app;
grant select, delete,                                       -- not: approved_integrity
  insert (id, template_id, major, minor, patch, prerelease, definition, integrity, size_bytes, schema_version, capabilities, inputs, changelog),
  update (major, minor, patch, prerelease, definition, integrity, size_bytes, capabilities, inputs, changelog, status, status_reason,
          published_at, updated_at, edit) on template_versions to latchkey_app;
grant select, insert (id, kind, template_id, version_id, proposed, appeals, opened_by, reason_code, note, checks), update (state)
  on moderation_cases to latchkey_app;
grant select, insert (id, template_id, affected_range, severity, summary, fixed_in, published_by), update (withdrawn_at)
  on advisories to latchkey_app;
grant select, insert, update, delete on publishers, categories, template_descriptions, template_words, template_versions,
  moderation_cases, removals, advisories, marketplace_figures to latchkey_platform;
grant select, insert, delete,
  update (name, summary, category, tags, license, listing, listing_reason, is_official, integrations, install_count, popularity, trending,
          rating_score, content_updated_at, updated_at, version) on templates to latchkey_platform;
