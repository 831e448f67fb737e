/** What a Redis says about itself, judged: why it must not carry jobs, and what is worth knowing although it may. */
export type Preflight = { fault: string | undefined; warnings: string[] }

const VERSION_MIN = [6, 2] as const

/**
 * Judges the answer to INFO. Redis carries messages only, and the rows of PostgreSQL are the truth, so nothing here can
 * lose a job; a Redis that throws messages away, or refuses them, makes jobs late.
 */
export const judgeRedis = (info: string): Preflight => {
  const fields = new Map(
    info.split(/\r?\n/).flatMap((line): [string, string][] => {
      const colon = line.indexOf(':')
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1).trim()]] : []
    }),
  )
  return { fault: faultOf(fields), warnings: [...warningsOf(fields)] }
}

const faultOf = (fields: ReadonlyMap<string, string>): string | undefined => {
  const version = fields.get('redis_version') ?? ''
  if (!isNewEnough(version))
    return `it is Redis ${version || 'of an unknown version'}; at least ${VERSION_MIN.join('.')} is needed (or Valkey)`
  const policy = fields.get('maxmemory_policy')
  if (policy && policy !== 'noeviction')
    return (
      `its maxmemory-policy is ${policy}, which deletes messages when memory is short; set it to noeviction, ` +
      'or name a Redis of its own (a cache may stay as it is)'
    )
  if (fields.get('redis_mode') === 'cluster')
    return 'it is a node of a cluster; name a single Redis (or one with replicas)'
  if (fields.get('role') === 'slave')
    return 'it is a replica, which takes no messages; name the primary'
  return undefined
}

const isNewEnough = (version: string) => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > VERSION_MIN[0] || (major === VERSION_MIN[0] && minor >= VERSION_MIN[1])
}

function* warningsOf(fields: ReadonlyMap<string, string>): Iterable<string> {
  if (fields.get('aof_enabled') === '0')
    yield 'the queue Redis keeps no append-only file (appendonly no): when it ends, messages on their way are sent again ' +
      'some seconds later; no job is lost, because PostgreSQL has them all'
  if (!fields.has('maxmemory_policy'))
    yield 'the queue Redis does not tell its maxmemory-policy; it should be noeviction'
}
