import type { CasbinLine } from '../../src/engine/casbin.ts'
import { environmentOf } from '../../src/engine/condition.ts'
import type { Bag, Environment, Question } from '../../src/engine/line.ts'

// The truth tables of the model: what it means, written down question by question. Domains are paths that end
// in `/`; organizations and workspaces have short names here, and roles too.

/** One row: a question in Casbin's words, and its answer. */
export type TruthRow = {
  readonly number: string
  readonly subject: string
  readonly domain: string
  readonly object: string
  readonly action: string
  /** Attributes as `resource.owner = "ann", now = 2026-12-01`. */
  readonly attributes: string
  readonly allowed: boolean
  readonly why: string
}

const readRows = (table: string): TruthRow[] =>
  table
    .trim()
    .split('\n')
    .map((row) => {
      const cells = row.split(' | ').map((cell) => cell.trim())
      const [number = '', subject = '', domain = '', object = '', action = ''] = cells
      const [attributes = '', answer, why = ''] = cells.slice(5)
      const allowed = answer === 'allow'
      return { number, subject, domain, object, action, attributes, allowed, why }
    })

const readLines = (table: string, separator: string): CasbinLine[] =>
  table
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => {
      const [ptype, ...fields] = line.split(separator).map((field) => field.trim())
      return { ptype: ptype as 'p' | 'g', fields }
    })

/** 51 questions without conditions. */
export const TRUTH = readRows(`
1 | user:bob | /acme/ | scenario:1 | read |  | allow | template role held in the organization
2 | user:bob | /acme/ws1/ | scenario:1 | read |  | allow | organization role applies in workspace
3 | user:bob | /acme/ws9/ | scenario:1 | read |  | allow | … also in a workspace no line mentions
4 | user:bob | /acme/ws1/ | scenario:1 | execute |  | deny | viewer cannot execute
5 | user:bob | /acme/ws1/ | scenario:42 | execute |  | allow | resource grant widens viewer
6 | user:bob | /acme/ws2/ | scenario:42 | execute |  | deny | resource grant is scoped to ws1
7 | user:bob | /acme/ws1/ | scenario:421 | execute |  | deny | scenario:42 is exact, not a prefix
8 | user:bob | /acme/ws1/ | scenario:99 | read |  | deny | deny beats allow on the same resource
9 | user:bob | /acme/ | scenario:99 | read |  | allow | … but the deny is scoped to ws1
10 | user:bob | /globex/ | scenario:1 | read |  | deny | no role in the other organization
11 | user:bob | /acme2/ | scenario:1 | read |  | deny | /acme/* does not leak into /acme2/
12 | user:kim | /acme/ | scenario:1 | read |  | deny | and not the other way round
13 | user:kim | /acme2/ws1/ | scenario:1 | read |  | allow | kim in own organization
14 | user:bob | /acme/ | billing:1 | read |  | allow | organization-level-only line
15 | user:bob | /acme/ws1/ | billing:1 | read |  | deny | … is not inherited by workspaces
16 | user:ann | /acme/ws1/ | scenario:5 | write |  | allow | owner > admin > editor by template hierarchy
17 | user:ann | /acme/ | organization:acme | delete |  | allow | owner permission
18 | user:ann | /acme/ | member:bob | remove |  | allow | admin act * via hierarchy
19 | user:ann | /acme/ws1/ | scenario:666 | write |  | deny | explicit deny narrows even an owner
20 | user:ann | /acme/ws1/ | scenario:666 | read |  | allow | … only for that action
21 | user:ann | /globex/ | scenario:1 | read |  | allow | different role in another organization
22 | user:ann | /globex/ | scenario:1 | write |  | deny | owner of acme is only viewer in globex
23 | user:eve | /acme/ws1/ | scenario:1 | write |  | allow | workspace role
24 | user:eve | /acme/ws2/ | scenario:1 | read |  | deny | workspace role does not apply in sibling workspace
25 | user:eve | /acme/ | scenario:1 | read |  | deny | workspace role does not apply in the parent organization
26 | user:eve | /acme/ws1/ | scenario:13 | read |  | deny | deny with act *
27 | user:eve | /acme/ws1/ | scenario:130 | read |  | allow | deny is exact
28 | user:dan | /acme/ws1/ | scenario:1 | execute |  | allow | team in the organization, role given to the team in ws1
29 | user:dan | /acme/ws2/ | scenario:1 | read |  | deny | the team has the role in ws1 only
30 | user:lea | /acme/ws2/ | report:1 | export |  | allow | custom role of the organization
31 | user:lea | /acme/ws2/ | scenario:1 | execute |  | allow | custom role inherits a template (organization link + * link)
32 | user:lea | /acme/ws2/ | scenario:1 | write |  | deny | role-level deny in ws2
33 | user:eve | /acme/ws1/ | scenario:2 | write |  | allow | role-level deny does not touch ws1
34 | user:aud | /acme/ws1/ | audit:1 | read |  | allow | custom role line
35 | user:aud | /acme/ | audit:1 | delete |  | deny | same role name in globex gives nothing here
36 | user:aud | /globex/ | audit:1 | delete |  | deny | role not held in globex
37 | user:guest | /acme/ws1/ | scenario:42 | write |  | allow | role granted on one resource
38 | user:guest | /acme/ws1/ | scenario:42 | read |  | allow | … with its inherited permissions
39 | user:guest | /acme/ws1/ | scenario:43 | read |  | deny | … and nothing beside
40 | user:guest | /acme/ws2/ | scenario:42 | read |  | deny | … nor in another workspace
41 | user:zoe | /acme/ws1/ | folder:7.sub | read |  | allow | prefix object
42 | user:zoe | /acme/ws1/ | folder:70 | read |  | deny | prefix stops at the dot
43 | user:pam | /globex/ws1/ | audit:9 | read |  | allow | platform role applies everywhere
44 | user:pam | / | organization:new | read |  | allow | … and at platform level
45 | user:pam | /globex/ | scenario:1 | write |  | deny | support is read only
46 | user:root | /x/y/ | thing:1 | anything |  | allow | platform root
47 | user:ann | / | organization:new | create |  | deny | organization owner is nobody at platform level
48 | user:mallory | /acme/ | scenario:1 | read |  | deny | platform-wide deny beats organization admin
49 | user:nobody | /acme/ | scenario:1 | read |  | deny | unknown subject
50 | user:bob | /acme/ | scenario:* | read |  | allow | type-level question: any scenario
51 | user:bob | /acme/ws1/ | scenario:* | execute |  | deny | type-level question is not widened by a single grant
`)

/** The lines behind them. */
export const TRUTH_LINES = readLines(
  `
# --- role templates, shared by all domains
p, role:viewer, *, scenario:*, read, true, allow
p, role:editor, *, scenario:*, execute, true, allow
p, role:editor, *, scenario:*, write, true, allow
p, role:admin, *, scenario:*, *, true, allow
p, role:admin, *, member:*, *, true, allow
p, role:owner, *, organization:*, delete, true, allow
p, role:support, *, *, read, true, allow
p, role:root, *, *, *, true, allow
g, role:editor, role:viewer, *
g, role:admin, role:editor, *
g, role:owner, role:admin, *
# --- platform grants
g, user:pam, role:support, *
g, user:root, role:root, *
p, user:mallory, *, *, *, true, deny
g, user:mallory, role:admin, /acme/*
# --- organization acme
g, user:ann, role:owner, /acme/*
g, user:bob, role:viewer, /acme/*
g, user:eve, role:editor, /acme/ws1/*
g, user:dan, team:eng, /acme/*
g, team:eng, role:editor, /acme/ws1/*
g, role:lead, role:editor, /acme/*
p, role:lead, /acme/*, report:*, export, true, allow
g, user:lea, role:lead, /acme/ws2/*
p, role:auditor, /acme/*, audit:*, read, true, allow
g, user:aud, role:auditor, /acme/*
# organization-level only permission: not inherited by workspaces
p, user:bob, /acme/, billing:*, read, true, allow
# --- resource grants
# widen: the viewer bob may execute one scenario in ws1
p, user:bob, /acme/ws1/*, scenario:42, execute, true, allow
# widen with a role on one resource
g, user:guest, role:editor, /acme/ws1/scenario:42
# narrow: explicit denies
p, user:eve, /acme/ws1/*, scenario:13, *, true, deny
p, user:ann, /acme/*, scenario:666, write, true, deny
p, role:editor, /acme/ws2/*, scenario:*, write, true, deny
# allow and deny on the same resource: deny wins
p, user:bob, /acme/ws1/*, scenario:99, read, true, deny
p, user:bob, /acme/ws1/*, scenario:99, read, true, allow
# prefix objects
p, user:zoe, /acme/*, folder:7.*, read, true, allow
# --- organization globex, same role names
g, user:ann, role:viewer, /globex/*
p, role:auditor, /globex/*, audit:*, delete, true, allow
# --- organization whose id extends acme's
g, user:kim, role:viewer, /acme2/*
`,
  ',',
)

/** 33 questions that depend on conditions. */
export const CONDITION_TRUTH = readRows(`
C1 | user:ann | /acme/ | note:1 | read |  | allow | no condition
C2 | user:ann | /acme/ | note:1 | update | resource.owner = "ann" | allow | condition of an allow holds
C3 | user:ann | /acme/ | note:1 | update | resource.owner = "bob" | deny | … does not hold
C4 | user:ann | /acme/ | note:1 | update |  | deny | … fails: attribute missing
C5 | user:ann | /acme/ | note:1 | archive | resource.size = 1 | deny | … fails: types do not compare
C6 | user:ann | /acme/ | note:1 | print |  | deny | … is not a boolean
C7 | user:ann | /acme/ | note:1 | move | resource.owner = "ann" | deny | … does not parse
C8 | user:ann | /acme/ | note:1 | blank |  | deny | … is empty
C9 | user:ann | /acme/ | note:1 | copy | context.mfa = true | allow | first allow fails, second holds
C10 | user:ann | /acme/ | note:1 | copy | context.mfa = false | deny | first allow fails, second does not hold
C11 | user:ann | /acme/ | note:1 | send |  | allow | time: before
C12 | user:ann | /acme/ | note:1 | send | now = 2026-12-01 | deny | time: at the end
C13 | user:ann | /acme/ | note:1 | quote | context.text = "p.sub, r.dom \\"#;\\" condition(" | allow | quotes, commas, p.x and r.x inside a condition are plain text
C14 | user:ann | /acme/ | note:7 | read | context.mfa = true | allow | condition of a deny does not hold
C15 | user:ann | /acme/ | note:7 | read | context.mfa = false | deny | … holds
C16 | user:ann | /acme/ | note:7 | read |  | deny | … fails: attribute missing, so it denies
C17 | user:ann | /acme/ | note:8 | read |  | allow | … guarded with has()
C18 | user:ann | /acme/ | note:9 | read |  | deny | … is not a boolean, so it denies
C19 | user:ann | /acme/ | note:10 | read | context.mfa = true | deny | … does not parse, so it denies
C20 | user:ann | /acme/ | note:12 | read |  | deny | … is empty, so it denies
C21 | user:ann | /acme/ | note:11 | read |  | allow | eft Deny is ignored whatever its condition does (lint refuses it)
C22 | user:ann | /acme/ | note:70 | read |  | allow | failing deny on another resource is not reached
C23 | user:ann | /acme/ws1/ | note:1 | read |  | allow | failing deny of another workspace is not reached
C24 | user:ann | /acme/ws2/ | note:1 | read |  | deny | … in its workspace it denies
C25 | user:con | /acme/ | note:1 | read |  | deny | failing deny on a role hits its holder
C26 | user:ann | /acme/ | note:* | update |  | deny | type-level question: "own" is not "any"
C27 | user:dan | /acme/ws1/ | note:1 | read |  | allow | user, nested team, team, role
C28 | user:dan | /acme/ws2/ | note:1 | read |  | deny | the team has the role in ws1 only
C29 | user:dan | /acme/ | note:1 | deploy | resource.stage = "test" | allow | conditional line of a parent team
C30 | user:dan | /acme/ | note:1 | deploy | resource.stage = "prod" | deny | … does not hold
C31 | user:eve | /acme/ | note:1 | update | resource.secret = false, resource.owner = "eve" | allow | conditional role grant, expanded: both conditions hold
C32 | user:eve | /acme/ | note:1 | update | resource.secret = true, resource.owner = "eve" | deny | … the grant's does not
C33 | user:eve | /acme/ | note:1 | update | resource.secret = false, resource.owner = "bob" | deny | … the role line's does not
`)

/** The lines behind them. A field is separated by ` | `. */
export const CONDITION_LINES = readLines(
  `
p | role:editor     | *           | note:*  | read    | true                                              | allow
p | role:editor     | *           | note:*  | update  | resource.owner == subject.id                      | allow
p | role:editor     | *           | note:*  | archive | resource.size > "big"                             | allow
p | role:editor     | *           | note:*  | print   | subject.id                                        | allow
p | role:editor     | *           | note:*  | move    | resource.owner ==                                 | allow
p | role:editor     | *           | note:*  | blank   |                                                   | allow
p | role:editor     | *           | note:*  | copy    | resource.owner == subject.id                      | allow
p | role:editor     | *           | note:*  | copy    | context.mfa                                       | allow
p | role:editor     | *           | note:*  | send    | now < timestamp("2026-12-01T00:00:00Z")           | allow
p | role:editor     | *           | note:*  | quote   | context.text == 'p.sub, r.dom "#;" condition('    | allow
p | user:ann        | /acme/*     | note:7  | read    | context.mfa == false                              | deny
p | user:ann        | /acme/*     | note:8  | read    | has(context.mfa) && context.mfa == false          | deny
p | user:ann        | /acme/*     | note:9  | read    | subject.id                                        | deny
p | user:ann        | /acme/*     | note:10 | read    | context.mfa ==                                    | deny
p | user:ann        | /acme/*     | note:11 | read    | resource.nope                                     | Deny
p | user:ann        | /acme/*     | note:12 | read    |                                                   | deny
p | user:ann        | /acme/ws2/* | note:*  | read    | resource.nope                                     | deny
p | role:contractor | /acme/*     | note:*  | read    | resource.nope                                     | deny
p | team:eng        | /acme/*     | note:*  | deploy  | resource.stage == "test"                          | allow
p | user:eve        | /acme/*     | note:*  | read    | resource.secret == false                          | allow
p | user:eve        | /acme/*     | note:*  | update  | (resource.secret == false) && (resource.owner == subject.id) | allow
g | user:ann        | role:editor     | /acme/*
g | user:con        | role:editor     | /acme/*
g | user:con        | role:contractor | /acme/*
g | user:dan        | team:platform   | /acme/*
g | team:platform   | team:eng        | /acme/*
g | team:eng        | role:editor     | /acme/ws1/*
`,
  '|',
)

/** When the questions are asked unless a row says otherwise. */
const NOW = Date.parse('2026-11-21T00:00:00Z')

const ATTRIBUTE = /(\w+)(?:\.(\w+))? = ("(?:[^"\\]|\\.)*"|[\w-]+)/g

/** The attributes of a row as a condition reads them. */
export const environmentOfRow = ({
  subject,
  object,
  action,
  attributes,
}: TruthRow): Environment => {
  const bags: { [bag: string]: { [name: string]: unknown } } = { resource: {}, context: {} }
  let now = NOW
  for (const [, bag = '', name = '', value = ''] of attributes.matchAll(ATTRIBUTE))
    if (bag === 'now') now = Date.parse(value)
    else bags[bag]![name] = JSON.parse(value)
  const [type = '', id = ''] = object.split(':')
  const [subjectType = '', subjectId = ''] = subject.split(':')
  return environmentOf({
    subject: { type: subjectType, id: subjectId },
    resource: { type, id: id === '*' ? null : id, attributes: bags.resource as Bag },
    action: { name: action },
    context: bags.context as Bag,
    now: new Date(now),
  })
}

/** The question of a row in the engine's words. */
export const questionOfRow = (row: TruthRow): Question => {
  const [, organizationId = '', workspaceId = ''] = row.domain.split('/')
  const [type = '', id = ''] = row.object.split(':')
  return {
    subject: row.subject,
    organizationId: organizationId === '' ? null : organizationId,
    workspaceId: workspaceId === '' ? null : workspaceId,
    type,
    id: id === '*' ? null : id,
    action: row.action,
    environment: () => environmentOfRow(row),
    nowMs: NOW,
  }
}
