import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Line, RoleLine } from '../src/engine/line.ts'
import type { Shot } from './answers.ts'
import type { KnownQuestion } from './dataset.ts'
import { ACTIONS, ROLES, TYPES } from './mix.ts'
import { freePort, type Served, startServer } from './processes.ts'

// Cerbos as the peer: its own binary, its own policy form, no request log, no audit, no telemetry. It keeps no grants, so
// the caller sends roles and grants in each request.

/** What the roles of the mix may do. */
const HELD: Record<string, readonly string[]> = {
  read: ['reader', 'editor', 'keeper'],
  update: ['editor', 'keeper'],
  execute: ['editor', 'keeper'],
  delete: ['keeper'],
}

const yaml = (document: unknown) => JSON.stringify(document, null, 2)

/** The caller names one role: plain role rules, no conditions. Cerbos at its cheapest. */
const staticPolicy = (type: string) => ({
  apiVersion: 'api.cerbos.dev/v1',
  resourcePolicy: {
    resource: `static_${type}`,
    version: 'default',
    rules: Object.entries(HELD).map(([action, roles]) => ({
      actions: [action],
      effect: 'EFFECT_ALLOW',
      roles,
    })),
  },
})

const match = (expr: string) => ({ match: { expr } })

/** A role is held in the organization, or in the workspace, that the resource is in. */
const derivedRoles = {
  apiVersion: 'api.cerbos.dev/v1',
  derivedRoles: {
    name: 'placed',
    definitions: ROLES.map((role) => ({
      name: `placed_${role}`,
      parentRoles: ['user'],
      condition: match(
        `(R.attr.organization in P.attr.roles && "${role}" in P.attr.roles[R.attr.organization]) || ` +
          `(R.attr.workspace in P.attr.roles && "${role}" in P.attr.roles[R.attr.workspace])`,
      ),
    })),
  },
}

/** For each action one allow and one deny by the resource's id, beside the roles. */
const grantedPolicy = (type: string) => ({
  apiVersion: 'api.cerbos.dev/v1',
  resourcePolicy: {
    resource: type,
    version: 'default',
    importDerivedRoles: ['placed'],
    rules: ACTIONS.flatMap((action) => [
      ...(HELD[action]
        ? [
            {
              actions: [action],
              effect: 'EFFECT_ALLOW',
              derivedRoles: HELD[action].map((role) => `placed_${role}`),
            },
          ]
        : []),
      ...['allow', 'deny'].map((effect) => ({
        actions: [action],
        effect: `EFFECT_${effect.toUpperCase()}`,
        roles: ['user'],
        condition: match(
          `R.attr.at in P.attr.${effect} && "${action}" in P.attr.${effect}[R.attr.at]`,
        ),
      })),
    ]),
  },
})

const configuration = (folder: string, http: number, grpc: number) => ({
  server: {
    httpListenAddr: `127.0.0.1:${http}`,
    grpcListenAddr: `127.0.0.1:${grpc}`,
    logRequestPayloads: false,
  },
  telemetry: { disabled: true },
  audit: { enabled: false },
  storage: { driver: 'disk', disk: { directory: folder, watchForChanges: false } },
})

const binary = (): string => {
  const require = createRequire(import.meta.url)
  const name = `@cerbos/cerbos-${process.platform}-${process.arch}`
  return join(
    dirname(require.resolve(`${name}/package.json`)),
    `cerbos-${process.platform}-${process.arch}`,
  )
}

/** Starts Cerbos with the policies of both request forms. @throws when it, or its package, is missing */
export const startCerbos = async (): Promise<Served> => {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-cerbos-'))
  const policies = join(folder, 'policies')
  await mkdir(policies)
  await writeFile(join(policies, 'placed.yaml'), yaml(derivedRoles))
  for (const type of TYPES) {
    await writeFile(join(policies, `static_${type}.yaml`), yaml(staticPolicy(type)))
    await writeFile(join(policies, `${type}.yaml`), yaml(grantedPolicy(type)))
  }
  const env = { CERBOS_NO_TELEMETRY: '1' }
  const checked = spawnSync(binary(), ['compile', policies], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  if (checked.status !== 0) throw new Error(`cerbos compile: ${checked.stdout}${checked.stderr}`)
  const [http, grpc] = [await freePort(), await freePort()]
  const config = join(folder, 'config.yaml')
  await writeFile(config, yaml(configuration(policies, http, grpc)))
  const command = [binary(), 'server', `--config=${config}`, '--log-level=error']
  const url = `http://127.0.0.1:${http}`
  const served = await startServer(command, { env, url, readyPath: '/_cerbos/health' })
  const stop = async () => {
    await served.stop()
    await rm(folder, { recursive: true, force: true })
  }
  return { ...served, stop }
}

/** Where POST /api/check/resources is. */
export const CERBOS_PATH = '/api/check/resources'

const requestOf = (principal: object, resource: object, action: string) =>
  JSON.stringify({ requestId: '', principal, resources: [{ resource, actions: [action] }] })

const expected = (allowed: boolean) => ({
  expect: `EFFECT_${allowed ? 'ALLOW' : 'DENY'}`,
  times: 1,
})

/** The questions whose subject holds one role in the organization and nothing else: the caller names that role. */
export const staticShots = (questions: readonly KnownQuestion[]): Shot[] =>
  questions
    .filter(({ lines }) => lines.length === 1 && lines[0]!.kind === 'role')
    .map(({ question: { subject, type, id, action }, lines, allowed }) => {
      const role = (lines[0] as RoleLine).holds.split('.')[1]!
      const resource = { kind: `static_${type}`, policyVersion: 'default', id }
      return {
        body: requestOf({ id: subject, roles: [role] }, resource, action),
        ...expected(allowed),
      }
    })

type Listed = Record<string, string[]>

const add = (lists: Listed, key: string, values: readonly string[]) => {
  lists[key] = [...(lists[key] ?? []), ...values]
}

/** A role on one resource, in the words of the request: the actions it gives there. */
const actionsOf = (role: string) =>
  Object.keys(HELD).filter((action) => HELD[action]!.includes(role))

/** What the subject holds, as attributes: roles by place, grants by workspace and resource. */
const attributesOf = (lines: readonly Line[]) => {
  const attributes = { roles: {} as Listed, allow: {} as Listed, deny: {} as Listed }
  for (const line of lines) {
    const workspace = line.place.kind === 'workspace' ? line.place.workspaceId : ''
    if (line.kind === 'permission') {
      if (line.object.kind !== 'resource') throw new Error('only grants on one resource are sent')
      const at = `${workspace}/${line.object.type}:${line.object.id}`
      add(attributes[line.effect], at, [line.action!])
      continue
    }
    const role = line.holds.split('.')[1]!
    if (line.resource) {
      const at = `${workspace}/${line.resource.type}:${line.resource.id}`
      add(attributes.allow, at, actionsOf(role))
    } else if (line.place.kind === 'organization')
      add(attributes.roles, line.place.organizationId, [role])
    else add(attributes.roles, workspace, [role])
  }
  return attributes
}

/** The same questions as ours; the caller sends the subject's roles and grants of this organization. */
export const grantedShots = (questions: readonly KnownQuestion[]): Shot[] =>
  questions.map(({ question, lines, allowed }) => {
    const { subject, organizationId, workspaceId, type, id, action } = question
    const attr = {
      organization: organizationId,
      workspace: workspaceId,
      at: `${workspaceId}/${type}:${id}`,
    }
    const principal = { id: subject, roles: ['user'], attr: attributesOf(lines) }
    const body = requestOf(principal, { kind: type, policyVersion: 'default', id, attr }, action)
    return { body, ...expected(allowed) }
  })
