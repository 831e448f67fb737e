/** Host, port and number of the database that a redis: URL names, in one form. */
const targetOf = (url: string) => {
  const { hostname, port, pathname, searchParams } = new URL(url)
  const database = Number(pathname.slice(1) || searchParams.get('db') || 0)
  return { server: `${hostname.toLowerCase()}:${port || '6379'}`, database }
}

/** Whether two redis: URLs name the same server, and the same database of it. */
export const isSameRedis = (left: string, right: string) => {
  const [one, other] = [targetOf(left), targetOf(right)]
  const isServer = one.server === other.server
  return { isServer, isDatabase: isServer && one.database === other.database }
}
