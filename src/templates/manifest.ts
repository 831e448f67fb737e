import type { Definition } from '../scenarios/service.ts'
import { inputAt } from './fill.ts'

/**
 * What a template will do where it is installed, one line each and sorted: `integration:slack`, `host:api.example.com` (`host:*`
 * where a host is only known when it runs), `trigger:webhook`, `trigger:schedule`, `permission:scenario:execute`, `reads:customer`,
 * `writes:customer`, `code`. Computed from the definition, never taken from a caller.
 */
export type Capabilities = readonly string[]

/** Node packages whose names say nothing of an integration. */
const BUILT_IN = new Set([
  ...['start', 'set', 'if', 'switch', 'merge', 'noop', 'wait', 'filter', 'sort', 'limit', 'code'],
  ...['function', 'functionitem', 'executecommand', 'webhook', 'respondtowebhook', 'stickynote'],
  ...['scheduletrigger', 'cron', 'interval', 'manualtrigger', 'splitinbatches', 'splitout'],
  ...[
    'aggregate',
    'datetime',
    'crypto',
    'html',
    'xml',
    'markdown',
    'itemlists',
    'removeduplicates',
  ],
  ...['executeworkflow', 'executeworkflowtrigger', 'errortrigger', 'stopanderror', 'formtrigger'],
  ...['form', 'httprequest', 'comparedatasets', 'renamekeys', 'extractfromfile', 'converttofile'],
  ...['readwritefile', 'readbinaryfile', 'readbinaryfiles', 'writebinaryfile', 'movebinarydata'],
])
const RUNS_CODE = new Set(['code', 'function', 'functionitem', 'executecommand', 'python', 'ssh'])
const TRIGGERS: Record<string, string> = {
  ...{ webhook: 'webhook', formtrigger: 'webhook', chattrigger: 'webhook' },
  ...{ scheduletrigger: 'schedule', cron: 'schedule', interval: 'schedule' },
  ...{ emailreadimap: 'mail', errortrigger: 'error', executeworkflowtrigger: 'scenario' },
}
const URL_TEXT = /^=?\s*https?:\/\/([^/\s?#"'`\\]+)/i
const HOST = /^[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d{1,5})?$/

/**
 * The capabilities of a definition: of its nodes (as n8n writes them: `type`, `parameters`, `credentials`), and what it declares
 * of itself in `permissions`, `hosts`, `integrations`, `reads` and `writes`.
 */
export const capabilitiesOf = (definition: Definition): Capabilities => {
  const found = new Set<string>()
  for (const node of listOf(definition.nodes)) noteNode(found, node)
  walkMembers(definition, (key, value) => noteHost(found, key, value))
  for (const [member, prefix] of DECLARED)
    for (const text of listOf(definition[member]))
      if (typeof text === 'string' && DECLARABLE.test(text)) found.add(prefix + text)
  return [...found].sort()
}

const DECLARABLE = /^[^\s\p{C}]{1,256}$/u
const DECLARED = [
  ['permissions', 'permission:'],
  ['hosts', 'host:'],
  ['integrations', 'integration:'],
  ['reads', 'reads:'],
  ['writes', 'writes:'],
] as const

/** The integrations among capabilities: what the catalog filters by. */
export const integrationsOf = (capabilities: Capabilities): string[] =>
  of(capabilities, 'integration:')

/** The permissions an installer must hold where it is installed. */
export const permissionsOf = (capabilities: Capabilities): string[] =>
  of(capabilities, 'permission:')

const of = (capabilities: Capabilities, prefix: string) =>
  capabilities.filter((each) => each.startsWith(prefix)).map((each) => each.slice(prefix.length))

/** What one has and the other has not. */
export const differenceOf = (before: Capabilities, after: Capabilities) => ({
  added: after.filter((each) => !before.includes(each)),
  removed: before.filter((each) => !after.includes(each)),
})

/** `n8n-nodes-base.googleSheetsTrigger` → `googlesheetstrigger`. */
const kindOf = (type: string) => type.slice(type.lastIndexOf('.') + 1).toLowerCase()

const noteNode = (found: Set<string>, node: unknown) => {
  if (typeof node !== 'object' || node === null) return
  const { type, credentials } = node as { type?: unknown; credentials?: unknown }
  const kind = typeof type === 'string' ? kindOf(type) : ''
  if (RUNS_CODE.has(kind)) found.add('code')
  const trigger =
    TRIGGERS[kind] ?? (kind.endsWith('trigger') && kind !== 'manualtrigger' ? 'poll' : '')
  if (trigger) found.add(`trigger:${trigger}`)
  const integration = typeof type === 'string' ? integrationOf(type) : undefined
  if (integration !== undefined) found.add(`integration:${integration}`)
  if (
    typeof credentials === 'object' &&
    credentials !== null &&
    Object.keys(credentials).length > 0
  )
    found.add('permission:connection:share')
}

/** Members that say where something is sent. */
const ADDRESSES = /^(?:url|uri|endpoint|base_?ur[il]|server_?ur[il]|host|hostname)$/i

/** A host that is not written out may be any. */
const noteHost = (found: Set<string>, key: string, value: unknown) => {
  const text = typeof value === 'string' ? value : ''
  const host = URL_TEXT.exec(text)?.[1]
    ?.toLowerCase()
    .replace(/^[^@]*@/, '')
  if (host !== undefined) found.add(`host:${HOST.test(host) ? host.replace(/:\d+$/, '') : '*'}`)
  // Computed when it runs, or filled in by whoever installs it.
  else if (ADDRESSES.test(key) && (text.startsWith('=') || inputAt(value) !== undefined))
    found.add('host:*')
}

/** The integration that a type of nodes belongs to; undefined for those that are of no service. */
export const integrationOf = (type: string): string | undefined => {
  const kind = kindOf(type)
  const integration = kind.replace(/(?:trigger|tool)$/, '')
  const isService =
    /^[a-z0-9-]{1,64}$/.test(integration) && !BUILT_IN.has(kind) && !BUILT_IN.has(integration)
  return isService ? integration : undefined
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

/** Every member of a definition and of what it holds, without a stack that could be too small. */
const walkMembers = (definition: Definition, visit: (key: string, value: unknown) => void) => {
  const waiting: [key: string, value: unknown][] = [['', definition]]
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [key, value] = next
    visit(key, value)
    if (typeof value === 'object' && value !== null)
      for (const [member, each] of Object.entries(value))
        waiting.push([Array.isArray(value) ? key : member, each])
  }
}
