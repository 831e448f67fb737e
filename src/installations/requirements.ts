import type { Ceiling } from '../platform/context.ts'
import { Problem, unprocessable } from '../platform/problem.ts'
import { type Capabilities, consentOf, type Input, permissionsOf } from '../templates/service.ts'

type Place = { organizationId: string; workspaceId: string | null }

/**
 * Whoever installs holds, at that place, every permission the template will use: installing is giving it to what runs there.
 * @throws Problem 403 that names all that is missing
 */
export const refuseAboveInstaller = (
  ceiling: Ceiling,
  capabilities: Capabilities,
  place: Place,
): void => {
  const needed = new Set(permissionsOf(capabilities))
  if (place.workspaceId !== null) needed.add('scenario:create')
  const missing = [...needed].filter((permission) => !ceiling.holds({ permission, place })).sort()
  if (missing.length > 0)
    throw new Problem(
      'forbidden',
      'install-above-ceiling',
      `You do not hold all that it would use there: ${missing.join(', ')}.`,
      { missing, permission: missing[0]! },
    )
}

/**
 * Nobody finds out afterwards what they let in: the very capabilities that were shown are agreed to.
 * @throws Problem 409 that shows them, with what has to be sent back
 */
export const requireConsent = async (
  capabilities: Capabilities,
  consent: string | undefined,
): Promise<void> => {
  if (capabilities.length === 0) return
  const expected = await consentOf(capabilities)
  if (consent === expected) return
  throw new Problem('conflict', 'consent-required', 'Agree to what it will do, or leave it.', {
    capabilities,
    consent: expected,
  })
}

/** JSON Pointer of an input's value. */
const at = (name: string) => `/inputs/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`

/**
 * Every input has a value that fits, and nothing else is given. Connections and secrets are named by the id of a registered
 * connection that the installer may share there; their text stays where it is.
 * @throws Problem 422 that names each place; 403 for a connection that is not the installer's to use
 */
export const requireInputs = (
  ceiling: Ceiling,
  place: Place,
  { inputs, values }: { inputs: readonly Input[]; values: Readonly<Record<string, unknown>> },
): void => {
  const known = new Map(inputs.map((input) => [input.name, input]))
  const missing = inputs.filter(
    ({ name, isRequired, default: standard }) =>
      isRequired && standard === undefined && !Object.hasOwn(values, name),
  )
  if (missing.length > 0)
    throw new Problem('unprocessable', 'inputs-missing', 'Not every input has a value.', {
      inputs: missing,
      errors: missing.map(({ name, label }) => ({
        pointer: at(name),
        detail: `is needed: ${label}`,
      })),
    })
  for (const [name, value] of Object.entries(values)) {
    const input = known.get(name)
    if (!input) throw unprocessable('input-unknown', at(name), 'is no input of this version')
    requireFit(input, value)
    if (input.type === 'connection' || input.type === 'secret')
      requireConnection(ceiling, place, { name, id: String(value) })
  }
}

const FITS: Record<Input['type'], (value: unknown) => boolean> = {
  text: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  boolean: (value) => typeof value === 'boolean',
  connection: (value) => typeof value === 'string' && value !== '',
  secret: (value) => typeof value === 'string' && value !== '',
}

const requireFit = ({ name, type }: Input, value: unknown) => {
  if (!FITS[type](value)) throw unprocessable('input-unfit', at(name), `must be a ${type}`)
}

const requireConnection = (
  ceiling: Ceiling,
  place: Place,
  { name, id }: { name: string; id: string },
) => {
  const resource = { type: 'connection', id }
  ceiling.reads([{ resource }])
  if (ceiling.holds({ permission: 'connection:share', place, resource })) return
  const detail = 'must be a connection that you may share there'
  throw new Problem(
    'forbidden',
    'connection-unusable',
    `The connection cannot be used: ${detail}.`,
    {
      permission: 'connection:share',
      errors: [{ pointer: at(name), detail }],
    },
  )
}

/** What stands in the definition for an input: a connection by reference, never what it holds. */
export const placedValues = (
  inputs: readonly Input[],
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> =>
  Object.fromEntries(
    inputs
      .filter(({ name }) => Object.hasOwn(values, name))
      .map(({ name, type }) => [
        name,
        type === 'connection' || type === 'secret' ? { $connection: values[name] } : values[name],
      ]),
  )
