import { readFileSync, writeFileSync } from 'node:fs'

/** The part of package-lock.json that matters here. */
export type Lock = { packages: Record<string, Package> }
type Package = {
  version?: string
  dev?: boolean
  optional?: boolean
  os?: string[]
  cpu?: string[]
  libc?: string[]
  optionalDependencies?: Record<string, string>
}

/**
 * The optional packages that a lock file leaves out: a registry without the packages of other
 * platforms makes npm forget them, and `npm ci` then refuses the lock file.
 */
export const missingOptional = ({ packages }: Lock) =>
  Object.entries(packages).flatMap(([parent, { optionalDependencies = {}, dev }]) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => !isLocked(packages, parent, name))
      .map(([name, version]) => ({ name, version, ...(dev ? { dev } : {}) })),
  )

const isLocked = (packages: Lock['packages'], parent: string, name: string): boolean => {
  const own = `${parent ? `${parent}/` : ''}node_modules/${name}`
  if (own in packages) return true
  if (!parent) return false
  return isLocked(packages, parent.replace(/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+$/, ''), name)
}

const SYSTEMS = /(?:^|[-/])(darwin|linux|win32|windows|android|freebsd|openharmony)(?=-|$)/
const LIBRARIES = /-(?:(gnu)|musl)(?:eabihf)?$/
const PROCESSORS = /-(arm64|x64|ia32|ppc64|riscv64|s390x|arm|64)(?=-|$)/

/** The lock file with them, for the platform that their names tell. */
export const complete = (lock: Lock): Lock => {
  const added = missingOptional(lock).map(({ name, version, dev }): [string, Package] => {
    if (!/^\d+\.\d+\.\d+[\w.+-]*$/.test(version))
      throw new Error(`${name}@${version} is no exact version: lock it by hand.`)
    const os = SYSTEMS.exec(name)?.[1]?.replace('windows', 'win32')
    const cpu = PROCESSORS.exec(name)?.[1]?.replace(/^64$/, 'x64')
    if (!os || !cpu) throw new Error(`${name} does not tell its platform: lock it by hand.`)
    const library = LIBRARIES.exec(name)
    const libc = library ? [library[1] ? 'glibc' : 'musl'] : undefined
    return [`node_modules/${name}`, { version, cpu: [cpu], dev, libc, optional: true, os: [os] }]
  })
  const { '': root, ...others } = { ...lock.packages, ...Object.fromEntries(added) }
  const sorted = Object.entries(others).sort(([a], [b]) => a.localeCompare(b, 'en'))
  return { ...lock, packages: { '': root ?? {}, ...Object.fromEntries(sorted) } }
}

if (import.meta.main) {
  const path = process.argv[2] ?? 'package-lock.json'
  const lock = JSON.parse(readFileSync(path, 'utf8'))
  writeFileSync(path, `${JSON.stringify(complete(lock), null, 2)}\n`)
  console.log(`${path}: ${missingOptional(lock).length} optional packages added`)
}
