type Given = { path: string; id: string; templates: PreparedTemplates }
type Sample = (given: Given) => [what: string, body?: unknown]
type Call = (what: string, body?: unknown) => Promise<{ status: number; body: { id: string } }>

/** Templates in each state that a change needs. */
export type PreparedTemplates = {
  /** With the draft 0.1.0. */
  draft: string
  /** Public, with the draft 0.1.0. */
  public: string
  /** Public, with 0.1.0 submitted. */
  submitted: string
  /** With 0.1.0 published inside, and a second one withdrawn. */
  published: string
  listed: string
  delisted: string
  removal: string
}

type Server = {
  call: Call
  sql: (strings: TemplateStringsArray, ...values: never[]) => Promise<unknown>
}

const handleOf = (organizationId: string) => organizationId.slice(-20)
const removalOf = (id: string) => `rmv_${id.slice(4)}`

/** Templates for the samples below; what only moderators do is written into the database. */
export const prepareTemplates = async (
  server: Server,
  { path, id: organizationId }: { path: string; id: string },
): Promise<PreparedTemplates> => {
  const must = async (what: string, body?: unknown) => {
    const answer = await server.call(what, body)
    if (answer.status >= 300) throw new Error(`${what}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const handle = handleOf(organizationId)
  await must(`PUT ${path}/publisher`, { handle, domain: 'acme.example' })
  const make = async (slug: string, isPublic: boolean) => {
    const { id } = await must(`POST ${path}/templates`, {
      slug,
      name: `The ${slug} of ${handle}`,
      category: 'automation',
      license: 'MIT',
      definition: { nodes: [] },
    })
    if (isPublic) await must(`PUT ${path}/templates/${id}/visibility`, { visibility: 'public' })
    return id
  }
  const [draft, open] = [await make('draft', false), await make('open', true)]
  const [submitted, published] = [await make('submitted', true), await make('published', false)]
  await must(`POST ${path}/templates/${submitted}/versions/0.1.0/submit`, {})
  const versions = `${path}/templates/${published}/versions`
  await must(`POST ${versions}/0.1.0/publish`)
  await must(`POST ${versions}`, { version: '0.1.1', definition: {}, changelog: '' })
  await must(`POST ${versions}/0.1.1/publish`)
  await must(`POST ${versions}/0.1.1/yank`, { reason: 'a mistake' })
  const listed = await make('listed', true)
  const delisted = await make('delisted', true)
  for (const id of [listed, delisted]) {
    await must(`POST ${path}/templates/${id}/versions/0.1.0/publish`)
    await server.sql`update template_versions set approved_integrity = integrity where template_id = ${id as never}`
    await server.sql`update templates set listing = 'listed' where id = ${id as never}`
  }
  await must(`POST ${path}/templates/${delisted}/unlist`)
  const removal = removalOf(delisted)
  await server.sql`
    insert into removals (id, template_id, organization_id, template_name, handle, reason_code, note, removed_by)
    values (${removal as never}, ${delisted as never}, ${organizationId as never}, 'x', ${handle as never}, 'spam', 'x', 'user:mod')`
  return { draft, public: open, submitted, published, listed, delisted, removal }
}

const TEMPLATES = '/v1/organizations/:organization/templates'
const ONE = `${TEMPLATES}/:template`
const VERSION = `${ONE}/versions/:version`
const at = ({ path, templates }: Given, which: Exclude<keyof PreparedTemplates, 'removal'>) =>
  `${path}/templates/${templates[which]}`

/** One request that changes something, per route of templates that can. */
export const TEMPLATE_CHANGES: Record<string, Sample> = {
  'PUT /v1/organizations/:organization/publisher': ({ path, id }) => [
    `PUT ${path}/publisher`,
    { handle: handleOf(id), domain: null },
  ],
  'POST /v1/organizations/:organization/publisher/verify': ({ path }) => [
    `POST ${path}/publisher/verify`,
    { domain: 'acme.example' },
  ],
  [`POST ${TEMPLATES}`]: ({ path }) => [
    `POST ${path}/templates`,
    { slug: 'greet', name: 'Greet', category: 'automation', license: 'MIT' },
  ],
  [`PATCH ${ONE}`]: (given) => [`PATCH ${at(given, 'draft')}`, { name: 'Hello' }],
  [`DELETE ${ONE}`]: (given) => [`DELETE ${at(given, 'draft')}`],
  [`PUT ${ONE}/visibility`]: (given) => [
    `PUT ${at(given, 'public')}/visibility`,
    { visibility: 'unlisted' },
  ],
  [`POST ${ONE}/deprecate`]: (given) => [`POST ${at(given, 'public')}/deprecate`, { note: 'old' }],
  [`POST ${ONE}/unlist`]: (given) => [`POST ${at(given, 'listed')}/unlist`],
  [`POST ${ONE}/relist`]: (given) => [`POST ${at(given, 'delisted')}/relist`],
  [`POST ${ONE}/appeals`]: (given) => [
    `POST ${at(given, 'delisted')}/appeals`,
    { removal: given.templates.removal, note: 'It is fine.' },
  ],
  [`POST ${ONE}/versions`]: (given) => [
    `POST ${at(given, 'published')}/versions`,
    { version: '0.2.0', definition: {} },
  ],
  [`PATCH ${VERSION}`]: (given) => [
    `PATCH ${at(given, 'public')}/versions/0.1.0`,
    { changelog: 'The first.' },
  ],
  [`DELETE ${VERSION}`]: (given) => [`DELETE ${at(given, 'public')}/versions/0.1.0`],
  [`POST ${VERSION}/publish`]: (given) => [`POST ${at(given, 'public')}/versions/0.1.0/publish`],
  [`POST ${VERSION}/submit`]: (given) => [`POST ${at(given, 'public')}/versions/0.1.0/submit`, {}],
  [`POST ${VERSION}/withdraw`]: (given) => [
    `POST ${at(given, 'submitted')}/versions/0.1.0/withdraw`,
  ],
  [`POST ${VERSION}/yank`]: (given) => [
    `POST ${at(given, 'published')}/versions/0.1.0/yank`,
    { reason: 'a mistake' },
  ],
  [`POST ${VERSION}/restore`]: (given) => [
    `POST ${at(given, 'published')}/versions/0.1.1/restore`,
    { reason: 'no mistake' },
  ],
}
