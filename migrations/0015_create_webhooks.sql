-- Outgoing events: where an organization wants to be told of its changes, and what became of each message.

create table webhooks (
  id typeid primary key constraint webhooks_id_prefix check (starts_with(id, 'whk_')),
  organization_id typeid not null references organizations on delete cascade,
  url text not null constraint webhooks_url_length check (length(url) between 1 and 2048),
  description text not null default '' constraint webhooks_description_length check (length(description) <= 500),
  -- grant.created, grant.* or *
  events text[] not null constraint webhooks_events_count check (cardinality(events) between 1 and 100),
  enabled boolean not null default true,
  disabled_reason text constraint webhooks_disabled_reason_length check (length(disabled_reason) <= 280),
  -- Encrypted (AES-256-GCM, for this id): deliveries are signed with them.
  secret text not null constraint webhooks_secret_is_sealed check (starts_with(secret, 'v1.') and length(secret) <= 500),
  previous_secret text
    constraint webhooks_previous_secret_is_sealed check (starts_with(previous_secret, 'v1.') and length(previous_secret) <= 500),
  previous_until timestamptz,                   -- both secrets sign until then
  failing_since timestamptz,                    -- the first failure after the last success
  failures int not null default 0,              -- one after the other
  broken_until timestamptz,                     -- the breaker: nothing is sent until then, and then one message first
  created_by text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  version int not null default 1,
  constraint webhooks_previous_secret_has_an_end check (num_nonnulls(previous_secret, previous_until) in (0, 2)),
  constraint webhooks_reason_of_the_disabled check (not enabled or disabled_reason is null)
);
create index webhooks_by_organization on webhooks (organization_id, id);

-- One message to one webhook. No foreign key to the webhook: deleting one does not wait for its log to be deleted, which
-- the daily deletion of old messages does.
create table webhook_deliveries (
  id typeid primary key constraint webhook_deliveries_id_prefix check (starts_with(id, 'dlv_')),
  organization_id typeid not null references organizations on delete cascade,
  webhook_id typeid not null,
  event_id typeid not null,                     -- names the message: the same over attempts and replays
  event text not null,                          -- grant.created
  body text not null,                           -- the exact bytes that are signed and sent
  state text collate "C" not null default 'pending'
    constraint webhook_deliveries_state_known check (state in ('pending', 'delivered', 'failed')),
  attempts int not null default 0,
  job_id typeid,
  response_status int,
  response_body text constraint webhook_deliveries_response_length check (length(response_body) <= 1024),
  error text constraint webhook_deliveries_error_length check (length(error) <= 500),
  duration_ms int,
  replay_of typeid,
  created_at timestamptz not null default clock_timestamp(),
  attempted_at timestamptz,
  delivered_at timestamptz,
  constraint webhook_deliveries_delivered_has_a_time check ((state = 'delivered') = (delivered_at is not null))
) with (fillfactor = 80);
-- An event that is fanned out twice is one message.
create unique index webhook_deliveries_once on webhook_deliveries (webhook_id, event_id) where replay_of is null;
create index webhook_deliveries_replays on webhook_deliveries (webhook_id, event_id) where replay_of is not null;
create index webhook_deliveries_newest on webhook_deliveries (webhook_id, id desc);
create index webhook_deliveries_pending on webhook_deliveries (webhook_id) where state = 'pending';
create index webhook_deliveries_by_time on webhook_deliveries (created_at);
create index webhook_deliveries_by_organization on webhook_deliveries (organization_id);

select protect_rows('webhooks', 'organization_id = current_organization()');
select protect_rows('webhook_deliveries', 'organization_id = current_organization()');
grant select, insert, update, delete on webhooks, webhook_deliveries to latchkey_app, latchkey_platform;

-- Deliveries wait for other people's servers. What waits costs nothing here, and how long it takes is not seen in the jobs
-- that were done; so there is room from the start, and a few endpoints that hang are not in the way of the others.
update job_queues set slots_min = 20 where queue = 'webhook';
