create table teams (
  organization_id typeid not null references organizations on delete cascade,
  slug slug not null,
  name text not null constraint teams_name_length check (length(btrim(name)) between 1 and 120),
  parent slug,                                  -- members of a team hold what its parents hold
  version int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (organization_id, slug),
  constraint teams_parent_in_the_same_organization foreign key (organization_id, parent) references teams
    deferrable initially deferred,              -- a parent with children stays
  constraint teams_not_its_own_parent check (parent <> slug));
create index teams_by_parent on teams (organization_id, parent) where parent is not null;

create table team_members (
  organization_id typeid not null,
  team slug not null,
  subject subject not null,
  primary key (organization_id, team, subject),
  foreign key (organization_id, team) references teams on delete cascade,
  constraint team_members_are_members foreign key (organization_id, subject) references members on delete cascade);
create index team_members_by_subject on team_members (organization_id, subject);

-- Teams nest at most 8 deep, without a cycle.
create function refuse_team_cycle() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare above int; below int; cycle boolean;
begin
  with recursive up (team, links) as (
    select new.parent::text, 1
    union select t.parent::text, up.links + 1 from up
      join teams t on t.organization_id = new.organization_id and t.slug = up.team
     where t.parent is not null and up.links <= 8)
  select max(links), bool_or(team = new.slug) into above, cycle from up;
  if cycle then raise exception 'inheritance-cycle' using errcode = 'LK005'; end if;
  with recursive down (team, links) as (
    select new.slug::text, 0
    union select t.slug::text, down.links + 1 from down
      join teams t on t.organization_id = new.organization_id and t.parent = down.team
     where down.links <= 8)
  select max(links) into below from down;
  if above + below > 7 then raise exception 'inheritance-too-deep' using errcode = 'LK006'; end if;   -- 8 teams, 7 links
  return null;
end $$;
create constraint trigger teams_no_cycle after insert or update on teams
  deferrable initially deferred for each row when (new.parent is not null) execute function refuse_team_cycle();

select raise_revision_on('teams', 'organization_id', '''team:'' || slug', 'parent');
select raise_revision_on('team_members', 'organization_id', 'subject', 'team');
select protect_rows('teams', 'organization_id = current_organization()');
select protect_rows('team_members', 'organization_id = current_organization()');
grant select, insert, update, delete on teams, team_members to latchkey_app, latchkey_platform;
