import { environmentOf } from '../../src/engine/condition.ts'
import type {
  Bag,
  LineObject,
  LinePlace,
  PermissionLine,
  Question,
  RoleLine,
} from '../../src/engine/line.ts'

// Lines and questions in few words.

export const EVERYWHERE: LinePlace = { kind: 'everywhere' }
export const ACME: LinePlace = { kind: 'organization', organizationId: 'acme' }
export const WS1: LinePlace = { kind: 'workspace', organizationId: 'acme', workspaceId: 'ws1' }
export const NOW = Date.parse('2026-11-21T00:00:00Z')

/** `*`, `doc:*`, `doc:1` or `doc:1…` for a prefix. */
const objectOf = (text: string): LineObject => {
  if (text === '*') return { kind: 'all' }
  const [type = '', id = ''] = text.split(':')
  if (id === '*') return { kind: 'type', type }
  return id.endsWith('…')
    ? { kind: 'prefix', type, prefix: id.slice(0, -1) }
    : { kind: 'resource', type, id }
}

/** A permission in acme, unless more is said. */
export const permission = (
  subject: string,
  action: string,
  object: string,
  more: Partial<PermissionLine> = {},
): PermissionLine => ({
  kind: 'permission',
  subject,
  place: ACME,
  object: objectOf(object),
  action: action === '*' ? null : action,
  condition: null,
  effect: 'allow',
  expiresAtMs: null,
  ...more,
})

/** A role held in acme, unless more is said. */
export const role = (subject: string, holds: string, more: Partial<RoleLine> = {}): RoleLine => ({
  kind: 'role',
  subject,
  holds,
  place: ACME,
  resource: null,
  expiresAtMs: null,
  ...more,
})

/** May the subject do this, on this, in acme? */
export const ask = (
  subject: string,
  action: string,
  resource: string,
  { context = {}, ...more }: Partial<Question> & { context?: Bag } = {},
): Question => {
  const [type = '', text = ''] = resource.split(':')
  const id = text === '*' ? null : text
  return {
    subject,
    organizationId: 'acme',
    workspaceId: null,
    type,
    id,
    action,
    nowMs: NOW,
    environment: () =>
      environmentOf({
        subject: { type: 'user', id: subject.slice(subject.indexOf(':') + 1) },
        resource: { type, id },
        action: { name: action },
        context,
        now: new Date(NOW),
      }),
    ...more,
  }
}
