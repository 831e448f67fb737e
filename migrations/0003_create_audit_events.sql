-- One event per change, written in the transaction of the change. Inserted and read, never edited.
-- `position` is set when the log is sealed; rows written before that become the first leaves.

create table audit_events (
  log text collate "C" not null,                -- an organization's id, or 'platform'
  id typeid not null constraint audit_events_id_prefix check (starts_with(id, 'evt_')),
  organization_id typeid,
  workspace_id typeid,
  at timestamptz not null default clock_timestamp(),
  event text not null,                          -- grant.created
  actor text not null,                          -- who called: user:alice, key:key_…
  api_key_id typeid,
  resource text not null,                       -- grant:grt_…
  subject text,                                 -- whom it concerns
  outcome text not null default 'success' constraint audit_events_outcome_known check (outcome in ('success', 'denied')),
  request_id text not null,
  revision bigint not null,                     -- of the organization (or the platform) after the change
  body text not null,                           -- the exact bytes that are hashed
  leaf bytea not null constraint audit_events_leaf_is_sha256 check (octet_length(leaf) = 32),
  mac bytea not null constraint audit_events_mac_is_sha256 check (octet_length(mac) = 32),
  mac_key_id text not null,
  position bigint,
  primary key (log, id));
create index audit_events_by_time on audit_events (log, at, id);
create index audit_events_by_request on audit_events (request_id);
create index audit_events_unsealed on audit_events (log, id) where position is null;

create function refuse_edit() returns trigger language plpgsql as $$
begin
  raise exception 'audit-events-are-not-edited' using errcode = 'LK010';
end $$;
create trigger audit_events_are_not_edited before update or delete or truncate on audit_events
  for each statement execute function refuse_edit();

select protect_rows('audit_events', 'log = current_organization()');
grant select, insert on audit_events to latchkey_app, latchkey_platform;
