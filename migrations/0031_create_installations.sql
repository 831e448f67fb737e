-- What organizations have installed, what stood before each update, what they think of it, and how often it is used.

create table installations (
  id typeid primary key constraint installations_id_prefix check (starts_with(id, 'ins_')),
  organization_id typeid not null references organizations on delete cascade,
  workspace_id typeid,                          -- null only for a role pack
  template_id typeid not null references templates on delete cascade,
  version_id typeid not null,
  scenario_id typeid,                           -- what was made
  inputs jsonb not null default '{}',           -- values and connection ids, never secrets
  update_policy text collate "C" not null default 'notify'
    constraint installations_update_policy_known check (update_policy in ('pin', 'notify', 'patch', 'minor')),
  consented_capabilities jsonb not null, consented_by text collate "C" not null, consented_at timestamptz not null default now(),
  status text collate "C" not null default 'active'         -- pending: waits for the organization's approval
    constraint installations_status_known check (status in ('pending', 'active', 'refused', 'removed')),
  installer jsonb not null,                     -- whose permissions are asked again when somebody approves
  decided_by text collate "C",
  quarantined_at timestamptz, quarantine_reason text,      -- a mark, not a status: lifting it restores exactly what was
  quarantined_by text collate "C"                           -- an advisory (adv_…) or a moderator's block
    constraint installations_quarantined_by_known check (quarantined_by = 'moderator' or starts_with(quarantined_by, 'adv_')),
  noticed_version_id typeid,                                -- the update its people were told of last
  installed_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version int not null default 1,
  foreign key (organization_id, workspace_id) references workspaces (organization_id, id) on delete cascade,
  foreign key (template_id, version_id) references template_versions (template_id, id) on delete cascade,
  foreign key (organization_id, scenario_id) references scenarios on delete set null (scenario_id),
  constraint installations_quarantine_has_a_reason
    check ((quarantined_at is null) = (quarantine_reason is null) and (quarantined_at is null) = (quarantined_by is null)));
create index installations_by_template on installations (template_id, version_id) where status = 'active';
create index installations_by_organization on installations (organization_id, workspace_id);
create unique index installations_one_role_pack on installations (organization_id, template_id)
  where workspace_id is null and status in ('pending', 'active');

create table installation_history (             -- what stood before each update, for rollback
  installation_id typeid references installations on delete cascade, step int,
  version_id typeid not null references template_versions on delete cascade,
  definition text not null,                     -- the scenario's, as it was
  inputs jsonb not null,
  consented_capabilities jsonb not null,
  made_at timestamptz not null default now(),
  primary key (installation_id, step));

create table ratings (
  template_id typeid references templates on delete cascade,
  subject subject,
  organization_id typeid not null references organizations on delete cascade,
  version_id typeid not null,
  stars smallint not null constraint ratings_one_to_five check (stars between 1 and 5),
  body text constraint ratings_body_length check (length(body) <= 2000),
  hidden_at timestamptz,
  created_at timestamptz not null default now(), updated_at timestamptz not null default now(),
  constraint ratings_one_per_person primary key (template_id, subject),
  foreign key (template_id, version_id) references template_versions (template_id, id) on delete cascade);
create index ratings_newest on ratings (template_id, updated_at desc, subject);

-- (C·m + sum) / (C + n), m the mean of all ratings, C = 10: few ratings move little.
create function score_of(rating_sum bigint, rating_count int) returns real language sql stable set search_path = public, pg_temp as $$
  select ((10 * (select rating_mean from marketplace_figures) + rating_sum) / (10 + rating_count))::real $$;
create function sum_ratings() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare old_stars int := 0; old_count int := 0; new_stars int := 0; new_count int := 0;
begin
  if tg_op <> 'INSERT' and old.hidden_at is null then old_stars := old.stars; old_count := 1; end if;
  if tg_op <> 'DELETE' and new.hidden_at is null then new_stars := new.stars; new_count := 1; end if;
  update templates set rating_sum = rating_sum + new_stars - old_stars, rating_count = rating_count + new_count - old_count,
      rating_score = case when rating_count + new_count - old_count = 0 then 0
        else score_of(rating_sum + new_stars - old_stars, rating_count + new_count - old_count) end
   where id = coalesce(new.template_id, old.template_id);
  return null;
end $$;
create trigger sum_ratings after insert or update of stars, hidden_at or delete on ratings for each row execute function sum_ratings();

create table template_days (                    -- organizations per day, not hits
  template_id typeid references templates on delete cascade, day date,
  views int not null default 0, downloads int not null default 0, installs int not null default 0, updates int not null default 0,
  removals int not null default 0,
  primary key (template_id, day));
create table template_day_organizations (       -- who was counted already
  template_id typeid references templates on delete cascade, day date, what text collate "C"
    constraint template_day_organizations_what_known check (what in ('views', 'downloads', 'installs', 'updates', 'removals')),
  organization_id typeid,
  primary key (template_id, day, what, organization_id));
-- The one way to count: an organization counts once a day, whatever it does.
create function count_template_use() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into template_days as d (template_id, day, views, downloads, installs, updates, removals)
  values (new.template_id, new.day, (new.what = 'views')::int, (new.what = 'downloads')::int, (new.what = 'installs')::int,
    (new.what = 'updates')::int, (new.what = 'removals')::int)
  on conflict (template_id, day) do update set views = d.views + excluded.views, downloads = d.downloads + excluded.downloads,
    installs = d.installs + excluded.installs, updates = d.updates + excluded.updates, removals = d.removals + excluded.removals;
  return null;
end $$;
create trigger count_template_use after insert on template_day_organizations for each row execute function count_template_use();

-- How many organizations have it installed, kept by the rows themselves.
create function count_installations() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare which text := coalesce(new.template_id, old.template_id);
begin
  update templates set install_count = (
    select count(distinct organization_id) from installations where template_id = which and status = 'active') where id = which;
  return null;
end $$;
create trigger count_installations after insert or update of status or delete on installations
  for each row execute function count_installations();

do $$
declare
  own constant text := 'organization_id = current_organization()';
  of_own constant text := 'exists (select 1 from templates t where t.id = template_id and t.organization_id = current_organization())';
begin
  perform protect_rows('installations', own);
  perform protect_rows('installation_history', 'exists (select 1 from installations i where i.id = installation_id)');
  perform protect_rows('ratings', own, 'true');
  perform protect_rows('template_days', 'false', of_own);
  perform protect_rows('template_day_organizations', own);
end $$;
grant select, delete,                                       -- not: quarantine
  insert (id, organization_id, workspace_id, template_id, version_id, scenario_id, inputs, update_policy, consented_capabilities,
          consented_by, status, installer),
  update (scenario_id, version_id, inputs, update_policy, consented_capabilities, consented_by, consented_at, status, decided_by,
          updated_at, version) on installations to latchkey_app;
grant select, insert, update, delete on installation_history to latchkey_app;
grant select, delete,                                       -- not: hidden_at
  insert (template_id, subject, organization_id, version_id, stars, body), update (version_id, stars, body, updated_at) on ratings to latchkey_app;
grant select on template_days to latchkey_app;
grant select, insert on template_day_organizations to latchkey_app;
grant select, insert, update, delete on installations, installation_history, ratings, template_days, template_day_organizations
  to latchkey_platform;
