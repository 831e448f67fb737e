-- The revision. Once per transaction and organization the number rises and one line goes to policy_changes.
-- The rise is an update of the organization's row. That makes it the mutex of the organization too: a second writer
-- waits, and the checks made at commit see every earlier change. Writers take that row first:
--   select revision from organizations where id = $1 for no key update

create table policy_changes (
  organization_id text collate "C" not null,    -- or 'platform'; no foreign key: the log outlives the organization
  revision bigint not null,
  touched text[],                               -- 'grants:user:bob', 'resources:repo:kubectl'; null = too many, load anew
  actor text,
  changed_at timestamptz not null default now(),
  changed_by xid8 not null default pg_current_xact_id(),
  primary key (organization_id, revision));
-- Readers ask for everything since the oldest transaction that was still open when they last asked.
create index policy_changes_by_transaction on policy_changes (changed_by);
create index policy_changes_by_time on policy_changes (changed_at);

create function raise_revision(home text, what text[]) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_variable
declare
  reached bigint;
  actor text := nullif(current_setting('latchkey.actor', true), '');
begin
  -- (xid, time) and not the xid alone: after a restore into a new cluster an old xid could come round again.
  if home = 'platform' then
    update platform p set revision = p.revision + 1, revised_at = now(), revised_by = pg_current_xact_id()
     where (p.revised_by, p.revised_at) is distinct from (pg_current_xact_id(), now());
    select p.revision into reached from platform p;
  else
    update organizations o set revision = o.revision + 1, revised_at = now(), revised_by = pg_current_xact_id()
     where o.id = home and (o.revised_by, o.revised_at) is distinct from (pg_current_xact_id(), now());
    select o.revision into reached from organizations o where o.id = home;
  end if;
  if reached is null then return null; end if;  -- the organization itself is being deleted, which is told elsewhere
  insert into policy_changes as log (organization_id, revision, touched, actor)
  values (home, reached, case when cardinality(what) <= 200 then what end, actor)
  on conflict (organization_id, revision) do update
    set touched = case when cardinality(log.touched) + cardinality(excluded.touched) <= 200
                       then log.touched || excluded.touched end
    where log.touched is not null;
  -- A commit that notifies takes a lock shared by the whole database, so the service sets its actor and tells others
  -- after its commit. What is typed by hand has no actor and is announced here.
  if actor is null then perform pg_notify('latchkey_policy', home || ' ' || reached); end if;
  return reached;
end $$;

create function refuse_truncate() returns trigger language plpgsql as $$
begin
  raise exception 'truncate-refused' using errcode = 'LK007',
    hint = 'truncate would change policy without raising a revision; delete instead';
end $$;

-- Puts the triggers on a table. `home` names the organization, `what` the row, `decisive` the columns a decision can
-- depend on: an update that leaves those alone raises nothing. Each table and verb gets a small function of its own, so
-- that its plan is kept.
create function raise_revision_on(name text, home text, what text, decisive text) returns void language plpgsql as $$
declare
  wanted text := format('%s as home, %s as what, %s', home, what, decisive);
  verb text;
begin
  foreach verb in array array['insert', 'update', 'delete'] loop
    execute format($f$
      create function note_%1$s_%2$s() returns trigger
      language plpgsql security definer set search_path = public, pg_temp as $body$
      declare whose text; which text[];
      begin
        for whose, which in
          select coalesce(c.home, 'platform'), array_agg(distinct '%1$s:' || c.what) from (%3$s) c group by 1 order by 1
        loop perform raise_revision(whose, which); end loop;
        return null;
      end $body$;
      create trigger note_%2$s after %2$s on %1$s referencing %4$s for each statement execute function note_%1$s_%2$s()
      $f$, name, verb,
      case verb
        when 'insert' then format('select %s from new_rows', wanted)
        when 'delete' then format('select %s from old_rows', wanted)
        else format('(select %1$s from new_rows except select %1$s from old_rows) union '
                    '(select %1$s from old_rows except select %1$s from new_rows)', wanted) end,
      case verb when 'insert' then 'new table as new_rows' when 'delete' then 'old table as old_rows'
                else 'old table as old_rows new table as new_rows' end);
  end loop;
  execute format('create trigger note_truncate before truncate on %I for each statement execute function refuse_truncate()', name);
end $$;

select protect_rows('policy_changes', 'false', 'organization_id = current_organization()');
grant select on policy_changes to latchkey_app;
grant select, delete on policy_changes to latchkey_platform;                            -- delete: retention
revoke execute on function raise_revision from public;                                  -- it would reach every organization
grant execute on function raise_revision to latchkey_platform;
