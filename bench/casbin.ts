import { readFileSync } from 'node:fs'
import { newEnforcer, newModelFromString, StringAdapter } from 'casbin'
import { createEnforcer, toCasbin, toRequest } from '../src/engine/casbin.ts'
import { environmentOf } from '../src/engine/condition.ts'
import { createEngine } from '../src/engine/engine.ts'
import type { Line } from '../src/engine/line.ts'
import { type Figure, spreadOf } from './figures.ts'
import { type Asked, drawQuestion, NOW, remake, templateLines } from './mix.ts'

// node-casbin itself, asked the same questions over the lines of one organization.

/** The model of Casbin's documentation for roles with domains: no patterns, no denies, no conditions. */
const DOCUMENTED = `
[request_definition]
r = sub, dom, obj, act
[policy_definition]
p = sub, dom, obj, act
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act
`

const environmentFor = ({ type, id, action }: Asked) =>
  environmentOf({
    subject: { type: 'user', id: 'x' },
    resource: { type, ...(id === null ? {} : { id }) },
    action: { name: action },
    now: new Date(NOW),
  })

/** Microseconds of one call, in windows of `ms`: each begins with the question after the last one asked. */
const windows = (
  count: number,
  ms: number,
  questions: readonly Asked[],
  ask: (q: Asked) => void,
) => {
  let next = 0
  return Array.from({ length: count }, () => {
    const started = performance.now()
    let calls = 0
    while (performance.now() - started < ms) {
      ask(questions[next++ % questions.length]!)
      calls += 1
    }
    return (1000 * (performance.now() - started)) / calls
  })
}

/** The organization's roles in the words of the documented model: who is what, and what each may do on a type. */
const documentedEnforcer = (lines: readonly Line[], organizationId: string) => {
  const rules = lines.flatMap((line) => {
    if (line.kind === 'role')
      return line.resource === null && line.holds.startsWith('role:organization.')
        ? [`g, ${line.subject}, ${line.holds}, ${organizationId}`]
        : []
    return line.object.kind === 'type' && line.subject.startsWith('role:organization.')
      ? [`p, ${line.subject}, ${organizationId}, ${line.object.type}, ${line.action}`]
      : []
  })
  const adapter = new StringAdapter(rules.join('\n'))
  return newEnforcer(newModelFromString(DOCUMENTED), adapter)
}

/** Casbin's time for one question over so many lines, in both models. @throws when it does not answer as the engine */
export const benchCasbin = async (sizes: readonly number[], ms: number): Promise<Figure[]> => {
  const modelText = readFileSync(new URL('../model.conf', import.meta.url), 'utf8')
  const figures: Figure[] = []
  for (const size of sizes) {
    const {
      random,
      lines: make,
      ...organization
    } = remake(size, size, { conditional: false, expiring: false })
    const own = [...make()]
    const lines = [...templateLines(), ...own]
    const questions = Array.from({ length: 64 }, () =>
      drawQuestion(random, { ...organization, lines: make }),
    )
    const enforcer = await createEnforcer(modelText, lines.map(toCasbin))
    const engine = createEngine({ modelText, verify: 'off' })
    const policy = await engine.compileOrganization(
      engine.compilePlatform(templateLines()),
      organization.organizationId,
      own,
    )
    const ask = (question: Asked) =>
      enforcer.enforceSync(...toRequest(question, environmentFor(question)))
    for (const question of questions.slice(0, 8)) {
      const environment = () => environmentFor(question)
      const { allowed } = engine.decide(policy, { ...question, nowMs: NOW, environment })
      if (ask(question) !== allowed) throw new Error('Casbin answers differently')
    }
    figures.push(
      spreadOf(`node-casbin, ${size} lines, model.conf`, 'µs', windows(5, ms, questions, ask), {
        note: 'stock enforcer, the same questions and answers, all lines of one organization',
      }),
    )
    const documented = await documentedEnforcer(lines, organization.organizationId)
    const askDocumented = ({ subject, organizationId, type, action }: Asked) =>
      documented.enforceSync(subject, organizationId, type, action)
    figures.push(
      spreadOf(
        `node-casbin, ${size} lines, its documented roles with domains`,
        'µs',
        windows(5, ms, questions, askDocumented),
        { note: 'only the roles in the organization: no resources, workspaces, denies' },
      ),
    )
  }
  return figures
}
