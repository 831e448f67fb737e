import * as v from 'valibot'
import { type AddressRange, parseRange } from './address-range.ts'
import { isSameRedis } from './cache/redis-target.ts'
import { QUEUES, type QueueName } from './jobs/queue.ts'
import { bytesOfAddress } from './public-address.ts'

const text = v.pipe(v.string(), v.trim(), v.nonEmpty())
const url = (...protocols: string[]) =>
  v.pipe(
    text,
    v.check(
      (value) => {
        try {
          return protocols.includes(new URL(value).protocol)
        } catch {
          return false
        }
      },
      `must be a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`,
    ),
  )
const wholeNumber = (min: number, max: number) =>
  v.pipe(
    text,
    v.regex(/^\d+$/, 'must be a whole number'),
    v.transform(Number),
    v.minValue(min),
    v.maxValue(max),
  )
const onOff = v.pipe(
  v.picklist(['on', 'off'], 'must be on or off'),
  v.transform((value) => value === 'on'),
)
const hexKey = v.pipe(
  text,
  v.regex(/^([0-9a-fA-F]{2}){32,}$/, 'must be at least 64 hexadecimal digits'),
)

const dataKey = v.pipe(text, v.regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hexadecimal digits'))

const attributeNames = v.pipe(
  text,
  v.transform((value) => value.split(',').map((name) => name.trim())),
  v.array(
    v.pipe(
      v.string(),
      v.regex(/^(?:subject|resource)\.[^.\s]+$/, 'must be subject.… or resource.…'),
    ),
  ),
)

const listed = v.pipe(
  text,
  v.transform((value) => value.split(',').map((each) => each.trim())),
)

const addressRanges = v.pipe(
  listed,
  v.array(v.string()),
  v.check(
    (ranges) => ranges.every((range) => parseRange(range)),
    'must be addresses or ranges such as 10.0.0.0/8,fd00::/8',
  ),
  v.transform((ranges): readonly AddressRange[] => ranges.map((range) => parseRange(range)!)),
)

/** The address of a server without its port: `127.0.0.1:5353`, `[::1]:53`, `::1`. */
const hostOfServer = (server: string) =>
  /^\[([^\]]+)\](?::\d{1,5})?$/.exec(server)?.[1] ?? server.replace(/^([\d.]+):\d{1,5}$/, '$1')

const dnsServers = v.pipe(
  listed,
  v.array(v.string()),
  v.check(
    (servers) => servers.every((server) => bytesOfAddress(hostOfServer(server))),
    'must be IP addresses, with a port after a colon if it is not 53',
  ),
)

const queueNames = v.pipe(
  text,
  v.transform((value) =>
    value === 'all'
      ? [...QUEUES]
      : value === 'none'
        ? []
        : value.split(',').map((name) => name.trim()),
  ),
  v.array(v.picklist(QUEUES, `must be all, none, or some of ${QUEUES.join(',')}`)),
  v.transform((names): readonly QueueName[] => names),
)

const processes = v.pipe(
  text,
  v.regex(/^(?:auto|[1-9]\d{0,2})$/, 'must be auto, or a whole number from 1 to 999'),
  v.transform((value) => (value === 'auto' ? value : Number(value))),
)

/** Every setting, read from the environment once. Names are part of the product's interface (docs/settings.md). */
const Settings = v.object({
  HOST: v.optional(text, '127.0.0.1'),
  PORT: v.optional(wholeNumber(0, 65_535), '8080'),
  WORKERS: v.optional(processes, '1'),
  DATA_DIR: v.optional(text, './data'),
  DATABASE_URL: v.optional(url('postgres:', 'postgresql:')),
  DATABASE_CONNECTIONS_MAX: v.optional(wholeNumber(1, 1000), '10'),
  LATCHKEY_ADMIN_KEY: v.optional(
    v.pipe(text, v.minLength(32, 'must have at least 32 characters'), v.maxLength(512)),
  ),
  LATCHKEY_DEMO: v.optional(onOff, 'on'),
  SELF_SERVICE_ORGANIZATIONS: v.optional(onOff, 'on'),
  DEFAULT_PLAN: v.optional(
    v.picklist(['free', 'pro', 'enterprise', 'custom'], 'must be free, pro, enterprise or custom'),
    'free',
  ),
  JWT_ISSUER: v.optional(text),
  JWT_AUDIENCE: v.optional(text),
  JWT_JWKS_URL: v.optional(url('http:', 'https:')),
  PUBLIC_URL: v.optional(url('http:', 'https:')),
  STORED_ONLY_ATTRIBUTES: v.optional(attributeNames),
  LOG_LEVEL: v.optional(v.picklist(['trace', 'debug', 'info', 'warn', 'error', 'silent']), 'info'),
  ENGINE_VERIFY: v.optional(v.picklist(['off', 'sample', 'all']), 'off'),
  POLICY_BYTES_MAX: v.optional(wholeNumber(1_000_000, 1_000_000_000_000), '1000000000'),
  SLICE_ROWS_MIN: v.optional(wholeNumber(1, 1_000_000_000_000), '2000000'),
  STALENESS_MS: v.optional(wholeNumber(50, 60_000), '1000'),
  AUDIT_MAC_KEY: v.optional(hexKey),
  DATA_KEY: v.optional(dataKey),
  DATA_KEY_PREVIOUS: v.optional(dataKey),
  JOB_QUEUES: v.optional(queueNames, 'all'),
  JOB_POLL_MS: v.optional(wholeNumber(50, 60_000), '1000'),
  SLOW_QUERY_MS: v.optional(wholeNumber(1, 600_000), '100'),
  SMTP_URL: v.optional(url('smtp:', 'smtps:')),
  MAIL_FROM: v.optional(v.pipe(text, v.maxLength(300))),
  INVITATION_URL: v.optional(
    v.pipe(url('http:', 'https:'), v.includes('{token}', 'must have {token} in it')),
  ),
  REDIS_QUEUE_URL: v.optional(url('redis:', 'rediss:')),
  REDIS_URL: v.optional(url('redis:', 'rediss:')),
  UPSTASH_REDIS_REST_URL: v.optional(url('https:', 'http:')),
  UPSTASH_REDIS_REST_TOKEN: v.optional(text),
  CACHE_ENVIRONMENT: v.optional(
    v.pipe(
      text,
      v.regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/, 'must be one word of at most 64 characters'),
    ),
    'latchkey',
  ),
  CACHE_BYTES_MAX: v.optional(wholeNumber(1_000_000, 1_000_000_000_000)),
  CACHE_COMMAND_TIMEOUT_MS: v.optional(wholeNumber(1, 10_000), '50'),
  STRIPE_SECRET_KEY: v.optional(text),
  STRIPE_WEBHOOK_SECRET: v.optional(text),
  STRIPE_URL: v.optional(url('https:', 'http:'), 'https://api.stripe.com'),
  CHECKOUT_RETURN_URL: v.optional(url('https:', 'http:')),
  TRUSTED_PROXIES: v.optional(addressRanges),
  DNS_SERVERS: v.optional(dnsServers),
  WEBHOOK_PRIVATE_ADDRESSES: v.optional(onOff, 'off'),
  NODE_ENV: v.optional(text),
})

export type Config = v.InferOutput<typeof Settings>

/** A setting that cannot be used; the message is the one line the start ends with. */
export class ConfigError extends Error {}

/**
 * Reads and checks every setting. Empty values count as absent.
 * @throws ConfigError naming the first setting that is malformed; its value is never repeated, it may be a secret.
 */
export const readConfig = (environment: Record<string, string | undefined>): Config => {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value?.trim()))
  const parsed = v.safeParse(Settings, given)
  if (!parsed.success) {
    const [issue] = parsed.issues
    throw new ConfigError(
      `${v.getDotPath(issue) ?? 'settings'}: ${issue.message.replace(/ but received .*/s, '')}`,
    )
  }
  const config = parsed.output
  const jwt = [config.JWT_ISSUER, config.JWT_AUDIENCE, config.JWT_JWKS_URL]
  if (jwt.some(Boolean) && !jwt.every(Boolean))
    throw new ConfigError('JWT_ISSUER, JWT_AUDIENCE and JWT_JWKS_URL: set all three or none')
  const stripe = [
    config.STRIPE_SECRET_KEY,
    config.STRIPE_WEBHOOK_SECRET,
    config.CHECKOUT_RETURN_URL,
  ]
  if (stripe.some(Boolean) && !stripe.every(Boolean))
    throw new ConfigError(
      'STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET and CHECKOUT_RETURN_URL: set all three or none',
    )
  if (config.SMTP_URL && !config.MAIL_FROM)
    throw new ConfigError('MAIL_FROM: required with SMTP_URL')
  if (!config.UPSTASH_REDIS_REST_URL !== !config.UPSTASH_REDIS_REST_TOKEN)
    throw new ConfigError(
      'UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN: set both or neither',
    )
  if (config.REDIS_URL && config.UPSTASH_REDIS_REST_URL)
    throw new ConfigError('REDIS_URL and UPSTASH_REDIS_REST_URL: set one of them')
  const { REDIS_URL, REDIS_QUEUE_URL } = config
  if (REDIS_URL && REDIS_QUEUE_URL && isSameRedis(REDIS_URL, REDIS_QUEUE_URL).isDatabase)
    throw new ConfigError(
      'REDIS_URL: it is the database of REDIS_QUEUE_URL; name another one (redis://…/1), or another server',
    )
  if (config.DATA_KEY_PREVIOUS && !config.DATA_KEY)
    throw new ConfigError('DATA_KEY: required with DATA_KEY_PREVIOUS')
  if (config.NODE_ENV === 'production' && config.DATABASE_URL && !config.AUDIT_MAC_KEY)
    throw new ConfigError('AUDIT_MAC_KEY: required in production with DATABASE_URL')
  if (config.NODE_ENV === 'production' && config.DATABASE_URL && !config.DATA_KEY)
    throw new ConfigError('DATA_KEY: required in production with DATABASE_URL')
  return config
}
