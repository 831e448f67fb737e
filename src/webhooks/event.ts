import * as v from 'valibot'

/** Every event of an organization's log that webhooks are told of (test/webhooks/event.unit.test.ts reads the source for them). */
export const EVENTS = [
  ...['organization.updated', 'organization.suspended', 'organization.reactivated'],
  ...['organization.deleted', 'member.created', 'member.updated', 'member.deleted'],
  ...['role.created', 'role.updated', 'role.deleted', 'team.created', 'team.updated'],
  ...['team.deleted', 'team-member.created', 'team-member.deleted', 'workspace.created'],
  ...['workspace.updated', 'workspace.deleted', 'workspace-member.updated'],
  ...['workspace-member.deleted', 'resource.created', 'resource.updated', 'resource.deleted'],
  ...['grant.created', 'grant.updated', 'grant.deleted', 'grant.expired', 'api-key.created'],
  ...['api-key.rotated', 'api-key.revoked', 'import.completed', 'webhook.created'],
  ...['invitation.created', 'invitation.resent', 'invitation.revoked', 'invitation.accepted'],
  ...['invitation.declined', 'invitation.expired', 'job.canceled', 'job.retried', 'job.promoted'],
  ...['webhook.updated', 'webhook.deleted', 'webhook.secret-rotated', 'webhook.tested'],
  ...['settings.updated', 'security.updated', 'ownership-offer.created'],
  ...['ownership-offer.accepted', 'ownership-offer.declined', 'ownership-offer.withdrawn'],
  ...['ownership-offer.expired', 'domain.created', 'domain.updated', 'domain.verified'],
  ...['domain.lapsed', 'domain.joined', 'domain.deleted'],
  ...['workspace-settings.updated', 'scenario.created', 'scenario.updated', 'scenario.deleted'],
  ...[
    'advisory.created',
    'advisory.withdrawn',
    'entitlement.created',
    'entitlement.revoked',
    'installation-policy.updated',
    'installation.advised',
    'installation.configured',
    'installation.created',
    'installation.deleted',
    'installation.quarantined',
    'installation.refused',
    'installation.released',
    'installation.requested',
    'installation.rolled-back',
    'installation.update-available',
    'installation.updated',
    'order.canceled',
    'order.created',
    'order.dispute-lost',
    'order.dispute-won',
    'order.disputed',
    'order.failed',
    'order.mismatched',
    'order.paid',
    'order.refund-ordered',
    'order.refund-requested',
    'order.refunded',
    'publisher.banned',
    'publisher.unbanned',
    'publisher.verified',
    'rating.deleted',
    'rating.hidden',
    'rating.shown',
    'rating.updated',
    'template-case.approved',
    'template-case.rejected',
    'template-version.blocked',
    'template-version.unblocked',
    'template.marked',
    'template.priced',
    'template.reported',
    'template.restored',
    'template.taken-down',
  ],
  ...['webhook.replayed', 'webhook.disabled', 'organization.plan-changed'],
  ...['organization.limits-changed', 'organization.archived'],
  ...['publisher.created', 'publisher.updated', 'template.created', 'template.updated'],
  ...['template.deleted', 'template.deprecated', 'template.unlisted', 'template.relisted'],
  ...['template.appealed', 'template-version.created', 'template-version.updated'],
  ...['template-version.deleted', 'template-version.published', 'template-version.submitted'],
  ...['template-version.withdrawn', 'template-version.yanked', 'template-version.restored'],
]

/** The event of a test message; it is in no log. */
export const TEST_EVENT = 'webhook.test'

/** What a webhook can name to be told of an event: the event, all of its noun, or all. */
export const patternsOf = (event: string): string[] => [
  event,
  `${event.slice(0, event.indexOf('.'))}.*`,
  '*',
]

/** Everything a webhook can name. */
export const PATTERNS: ReadonlySet<string> = new Set(EVENTS.flatMap(patternsOf))

/** An event as the log keeps it. */
const LoggedEvent = v.object({
  id: v.string(),
  log: v.string(),
  at: v.string(),
  actor: v.string(),
  event: v.string(),
  resource: v.string(),
  workspaceId: v.nullish(v.string(), null),
  subject: v.nullish(v.string(), null),
  before: v.nullish(v.unknown(), null),
  after: v.nullish(v.unknown(), null),
  reason: v.nullish(v.string(), null),
  requestId: v.string(),
  revision: v.number(),
})
export type LoggedEvent = v.InferOutput<typeof LoggedEvent>

/** The event in a body of the log. */
export const readEvent = (body: string): LoggedEvent => v.parse(LoggedEvent, JSON.parse(body))

/** The media type of a message: CloudEvents 1.0, structured (JSON Event Format §3). */
export const CONTENT_TYPE = 'application/cloudevents+json; charset=utf-8'

/**
 * The bytes that are signed and sent.
 * @param origin where this server is reached, or a name for it
 */
export const messageOf = (
  { id, log, at, event, resource, ...rest }: LoggedEvent,
  origin: string,
): string =>
  JSON.stringify({
    specversion: '1.0',
    id,
    source: `${origin}/organizations/${log}`,
    type: `latchkey.${event}`,
    subject: resource,
    time: at,
    datacontenttype: 'application/json',
    data: {
      organizationId: log,
      workspaceId: rest.workspaceId,
      actor: rest.actor,
      subject: rest.subject,
      resource,
      before: rest.before,
      after: rest.after,
      reason: rest.reason,
      requestId: rest.requestId,
      revision: rest.revision,
    },
  })
