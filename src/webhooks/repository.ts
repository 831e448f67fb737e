import type { Queryable } from '../platform/db/connect.ts'
import type { Delivery, Webhook, WholeDelivery } from './schema.ts'

const WEBHOOK = (tx: Queryable) => tx`
  id, url, description, events, enabled, disabled_reason, failing_since, created_by, created_at, updated_at, version,
  case when broken_until > clock_timestamp() then broken_until end as paused_until,
  case when previous_until > clock_timestamp() then previous_until end as overlap_until`

export const insertWebhook = async (
  tx: Queryable,
  webhook: {
    id: string
    organizationId: string
    url: string
    description: string
    events: string[]
    enabled: boolean
    secret: string
    createdBy: string
  },
) => {
  const [inserted] = await tx<Webhook[]>`
    insert into webhooks (id, organization_id, url, description, events, enabled, secret, created_by)
    values (${webhook.id}, ${webhook.organizationId}, ${webhook.url}, ${webhook.description}, ${webhook.events}::text[],
      ${webhook.enabled}, ${webhook.secret}, ${webhook.createdBy})
    returning ${WEBHOOK(tx)}`
  return inserted!
}

export const findWebhook = async (tx: Queryable, organizationId: string, id: string) => {
  const [found] = await tx<Webhook[]>`
    select ${WEBHOOK(tx)} from webhooks where organization_id = ${organizationId} and id = ${id}`
  return found
}

export const listWebhooks = (
  tx: Queryable,
  filter: { organizationId: string; after: string; limit: number },
) => tx<Webhook[]>`
  select ${WEBHOOK(tx)} from webhooks
  where organization_id = ${filter.organizationId} and id > ${filter.after} order by id limit ${filter.limit}`

/** What stopped a webhook is forgotten where it begins anew. */
export const updateWebhook = async (
  tx: Queryable,
  webhook: Pick<Webhook, 'id' | 'url' | 'description' | 'events' | 'enabled'> & {
    organizationId: string
    beginsAnew: boolean
  },
) => {
  const [updated] = await tx<Webhook[]>`
    update webhooks set url = ${webhook.url}, description = ${webhook.description}, events = ${webhook.events}::text[],
      enabled = ${webhook.enabled}, disabled_reason = case when not ${webhook.enabled} then disabled_reason end,
      failures = case when ${webhook.beginsAnew} then 0 else failures end,
      failing_since = case when not ${webhook.beginsAnew} then failing_since end,
      broken_until = case when not ${webhook.beginsAnew} then broken_until end,
      version = version + 1, updated_at = now()
    where organization_id = ${webhook.organizationId} and id = ${webhook.id} returning ${WEBHOOK(tx)}`
  return updated!
}

export const deleteWebhook = (tx: Queryable, organizationId: string, id: string) =>
  tx`delete from webhooks where organization_id = ${organizationId} and id = ${id}`

export const replaceSecret = async (
  tx: Queryable,
  webhook: { organizationId: string; id: string; secret: string; overlapSeconds: number },
) => {
  const [updated] = await tx<Webhook[]>`
    update webhooks set
      previous_secret = case when ${webhook.overlapSeconds}::int > 0 then secret end,
      previous_until = case when ${webhook.overlapSeconds}::int > 0
        then clock_timestamp() + make_interval(secs => ${webhook.overlapSeconds}) end,
      secret = ${webhook.secret}, version = version + 1, updated_at = now()
    where organization_id = ${webhook.organizationId} and id = ${webhook.id} returning ${WEBHOOK(tx)}`
  return updated!
}

/** Turns a webhook off, if it is not off already. */
export const disableWebhook = async (
  tx: Queryable,
  webhook: { organizationId: string; id: string; reason: string },
) => {
  const [disabled] = await tx<Webhook[]>`
    update webhooks set enabled = false, disabled_reason = ${webhook.reason}, version = version + 1, updated_at = now()
    where organization_id = ${webhook.organizationId} and id = ${webhook.id} and enabled returning ${WEBHOOK(tx)}`
  return disabled
}

/** Whether anybody wants to be told. */
export const hasListener = async (
  tx: Queryable,
  organizationId: string,
  patterns: readonly string[],
) => {
  const [row] = await tx<{ listens: boolean }[]>`
    select exists (select 1 from webhooks where organization_id = ${organizationId} and enabled
      and events && ${patterns as string[]}::text[]) as listens`
  return row!.listens
}

export const findListeners = async (
  tx: Queryable,
  organizationId: string,
  patterns: readonly string[],
) => {
  const rows = await tx<{ id: string }[]>`
    select id from webhooks where organization_id = ${organizationId} and enabled
      and events && ${patterns as string[]}::text[] order by id`
  return rows.map(({ id }) => id)
}

/** Lets the message through with which a paused endpoint is tried again: one, and no other for a minute. */
export const claimProbe = async (tx: Queryable, organizationId: string, id: string) => {
  const rows = await tx`
    update webhooks set broken_until = clock_timestamp() + interval '1 minute'
    where organization_id = ${organizationId} and id = ${id} and broken_until <= clock_timestamp() returning 1 as claimed`
  return rows.length > 0
}

export const noteSuccess = (tx: Queryable, organizationId: string, id: string) => tx`
  update webhooks set failures = 0, failing_since = null, broken_until = null
  where organization_id = ${organizationId} and id = ${id} and (failures > 0 or broken_until is not null)`

/**
 * Counts a failure, and after so many in a row pauses the endpoint: one minute, then twice as long each time, up to an hour.
 * What was under way when the pause began does not lengthen it.
 */
export const noteFailure = (
  tx: Queryable,
  webhook: { organizationId: string; id: string; isProbe: boolean; failuresMax: number },
) => tx`
  update webhooks set failing_since = coalesce(failing_since, clock_timestamp()), failures = failures + 1,
    broken_until = case when failures + 1 >= ${webhook.failuresMax}::int then clock_timestamp()
      + least(60, power(2, least(6, failures + 1 - ${webhook.failuresMax}::int))) * interval '1 minute' end
  where organization_id = ${webhook.organizationId} and id = ${webhook.id}
    and (${webhook.isProbe} or broken_until is null or broken_until <= clock_timestamp())`

const DELIVERY = (tx: Queryable) => tx`
  d.id, d.event, d.event_id, d.state, d.attempts, d.response_status, d.error, d.duration_ms, d.replay_of, d.created_at,
  d.attempted_at, d.delivered_at, case when d.state = 'pending' then (
    select j.run_at from jobs j where j.id = d.job_id and j.state in ('scheduled', 'ready')) end as next_attempt_at`

/** One message to many webhooks; answers those that had not got it yet. */
export const insertDeliveries = (
  tx: Queryable,
  message: { organizationId: string; eventId: string; event: string; body: string },
  deliveries: readonly { id: string; webhookId: string }[],
) => tx<{ id: string; webhookId: string }[]>`
  insert into webhook_deliveries (id, webhook_id, organization_id, event_id, event, body)
  select given.id, given."webhookId", ${message.organizationId}, ${message.eventId}, ${message.event}, ${message.body}
  from jsonb_to_recordset(${tx.json(deliveries as never)}) as given (id text, "webhookId" text)
  on conflict (webhook_id, event_id) where replay_of is null do nothing
  returning id, webhook_id`

/** The same messages once more. */
export const insertReplays = (
  tx: Queryable,
  organizationId: string,
  replays: readonly { id: string; replayOf: string }[],
) => tx<{ id: string; webhookId: string }[]>`
  insert into webhook_deliveries (id, webhook_id, organization_id, event_id, event, body, replay_of)
  select given.id, d.webhook_id, d.organization_id, d.event_id, d.event, d.body, d.id
  from jsonb_to_recordset(${tx.json(replays as never)}) as given (id text, "replayOf" text)
  join webhook_deliveries d on d.id = given."replayOf" and d.organization_id = ${organizationId}
  returning id, webhook_id`

export const noteJobs = (
  tx: Queryable,
  organizationId: string,
  jobs: readonly { id: string; jobId: string }[],
) => tx`
  update webhook_deliveries d set job_id = given."jobId"
  from jsonb_to_recordset(${tx.json(jobs as never)}) as given (id text, "jobId" text)
  where d.id = given.id and d.organization_id = ${organizationId}`

type Of = { organizationId: string; webhookId: string }

export const findDelivery = async (tx: Queryable, of: Of & { id: string }) => {
  const [found] = await tx<WholeDelivery[]>`
    select ${DELIVERY(tx)}, d.body, d.response_body from webhook_deliveries d
    where d.organization_id = ${of.organizationId} and d.webhook_id = ${of.webhookId} and d.id = ${of.id}`
  return found
}

/** The newest first. */
export const listDeliveries = (
  tx: Queryable,
  filter: Of & { state: string | null; event: string | null; before: string; limit: number },
) => tx<Delivery[]>`
  select ${DELIVERY(tx)} from webhook_deliveries d
  where d.organization_id = ${filter.organizationId} and d.webhook_id = ${filter.webhookId}
    and (${filter.state}::text is null or d.state = ${filter.state})
    and (${filter.event}::text is null or d.event = ${filter.event})
    and (${filter.before} = '' or d.id < ${filter.before})
  order by d.id desc limit ${filter.limit}`

/** Messages to send once more, the oldest first: each once, and none that another delivery brought or is about to bring. */
export const findReplayable = (
  tx: Queryable,
  filter: Of & { since: string; until: string | null; state: string; limit: number },
) => tx<{ id: string; createdAt: string }[]>`
  select d.id, d.created_at from webhook_deliveries d
  where d.organization_id = ${filter.organizationId} and d.webhook_id = ${filter.webhookId}
    and d.created_at >= ${filter.since} and (${filter.until}::timestamptz is null or d.created_at < ${filter.until})
    and d.state = ${filter.state} and d.replay_of is null
    and not exists (select 1 from webhook_deliveries r
      where r.webhook_id = d.webhook_id and r.event_id = d.event_id and r.replay_of is not null
        and r.state in ('pending', case when ${filter.state} = 'failed' then 'delivered' end))
  order by d.id limit ${filter.limit}`

/** What an attempt needs to know. */
export type Attempt = {
  webhookId: string
  eventId: string
  event: string
  body: string
  state: 'pending' | 'delivered' | 'failed'
  /** Of the webhook; null when it is gone. */
  url: string | null
  enabled: boolean | null
  secret: string | null
  previousSecret: string | null
  /** Milliseconds until the pause ends; null without one. By the clock of the database, as all of this. */
  pausedForMs: number | null
  isFailingTooLong: boolean
}

export const findAttempt = async (
  tx: Queryable,
  of: { organizationId: string; id: string; failingDaysMax: number },
) => {
  const [found] = await tx<Attempt[]>`
    select d.webhook_id, d.event_id, d.event, d.body, d.state, w.url, w.enabled, w.secret,
      case when w.previous_until > clock_timestamp() then w.previous_secret end as previous_secret,
      (extract(epoch from w.broken_until - clock_timestamp()) * 1000)::float8 as paused_for_ms,
      coalesce(w.failing_since < clock_timestamp() - make_interval(days => ${of.failingDaysMax}), false) as is_failing_too_long
    from webhook_deliveries d
    left join webhooks w on w.id = d.webhook_id and w.organization_id = d.organization_id
    where d.organization_id = ${of.organizationId} and d.id = ${of.id}`
  return found
}

/** How an attempt ended. */
export const noteAttempt = (
  tx: Queryable,
  of: { organizationId: string; id: string },
  attempt: {
    state: 'pending' | 'delivered' | 'failed'
    responseStatus: number | null
    responseBody: string | null
    error: string | null
    durationMs: number
  },
) => tx`
  update webhook_deliveries set ${tx(attempt)}, attempts = attempts + 1, attempted_at = clock_timestamp(),
    delivered_at = case when ${attempt.state} = 'delivered' then clock_timestamp() end
  where organization_id = ${of.organizationId} and id = ${of.id} and state = 'pending'`

/** Ends a message without an attempt. */
export const failDelivery = (
  tx: Queryable,
  of: { organizationId: string; id: string; error: string },
) => tx`
  update webhook_deliveries set state = 'failed', error = ${of.error}
  where organization_id = ${of.organizationId} and id = ${of.id} and state = 'pending'`

/** Of all organizations: messages whose job ended without a word, as one that an operator canceled. */
export const failAbandoned = (tx: Queryable, error: string) => tx`
  update webhook_deliveries d set state = 'failed', error = ${error}
  where state = 'pending' and created_at < clock_timestamp() - interval '1 hour'
    and not exists (select 1 from jobs j where j.id = d.job_id and j.state <> 'dead')`

/** Of all organizations; answers how many. */
export const deleteOld = async (tx: Queryable, days: number, limit: number) => {
  const { count } = await tx`
    delete from webhook_deliveries where id in (
      select id from webhook_deliveries where created_at < clock_timestamp() - make_interval(days => ${days})
      order by created_at limit ${limit})`
  return count
}
