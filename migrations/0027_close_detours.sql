-- Who was a member once, and what happened to one role: both ask the log about one thing.
create index audit_events_by_resource on audit_events (log, resource, id);

-- What was given ahead, on a resource nobody had registered yet, was given in the workspace that was named. Registered in another
-- one, the resource is not the one that was meant, and whoever gave it may hold nothing there. Refusals stay.
create function end_grants_elsewhere() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
begin
  delete from grants g using new_rows n
   where g.organization_id = n.organization_id and g.resource_type = n.type and g.resource_id = n.id
     and g.effect = 'allow' and g.workspace_id is not null and g.workspace_id is distinct from n.workspace_id;
  return null;
end $$;
create trigger end_grants_elsewhere after insert on resources referencing new table as new_rows
  for each statement execute function end_grants_elsewhere();
