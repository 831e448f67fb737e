import { describe, expect, test } from 'vitest'
import { canonicalOf, type Definition } from '../../src/scenarios/service.ts'
import { fill } from '../../src/templates/fill.ts'
import { holdsSecret } from '../../src/templates/secrets.ts'
import { strip } from '../../src/templates/strip.ts'

/** Put together when it runs, so that nobody who looks for secrets in this repository finds one. */
const join = (...parts: string[]) => parts.join('')
const some = (characters: string, length: number) =>
  characters.repeat(Math.ceil(length / characters.length)).slice(0, length)
const MIXED = 'aB3dE6gH9jK2mN5pQ8sT1vW4xY7z'
const HEX = '0f1e2d3c4b5a69788796a5b4c3d2e1f0'

/** A text of each kind, as somebody leaves it in a workflow. */
const PLANTED: Record<string, string> = {
  'GitHub, classic': join('gh', 'p_', some(MIXED, 36)),
  'GitHub, fine-grained': join('github', '_pat_', some(MIXED, 22), '_', some(MIXED, 59)),
  GitLab: join('gl', 'pat-', some(MIXED, 20)),
  'Slack, bot': join('xo', 'xb-', '123456789012-1234567890123-', some(MIXED, 24)),
  'Slack, webhook': join(
    'https://hooks.',
    'slack.com/services/T00000001/B00000001/',
    some(MIXED, 24),
  ),
  OpenAI: join('sk', '-proj-', some(MIXED, 74), 'T3Blbk', 'FJ', some(MIXED, 74)),
  Anthropic: join('sk', '-ant-api03-', some(MIXED, 93), 'AA'),
  Stripe: join('sk', '_live_', some(MIXED, 24)),
  SendGrid: join('S', 'G.', some(MIXED, 22), '.', some(MIXED, 43)),
  npm: join('npm', '_', some(MIXED, 36)),
  'Hugging Face': join('h', 'f_', some('abCdEfGhIjKlMnOpQr', 34)),
  Linear: join('lin', '_api_', some(MIXED, 40)),
  Google: join('AI', 'za', some(MIXED, 35)),
  Telegram: join('1234567890', ':', some(MIXED, 35)),
  Twilio: join('S', 'K', HEX),
  Mailgun: join('key', '-', HEX),
  'a private key': join(
    '-----BEGIN ',
    'RSA PRIVATE KEY-----\n',
    some(MIXED, 640),
    '\n-----END ',
    'RSA PRIVATE KEY-----',
  ),
  'a password in an address': join('https://admin:', some(MIXED, 16), '@db.example.com/'),
  'a database': join('postgres://admin:', some(MIXED, 16), '@db.example.com:5432/app'),
  'a web token': join('ey', 'JhbGciOiJIUzI1NiJ9.ey', 'JzdWIiOiIxMjM0NTY3ODkwIn0.', some(MIXED, 43)),
  'a bearer': join('Bearer ', some(MIXED, 32)),
  'a key in an address': join('https://api.example.com/v1?api_', 'key=', some(MIXED, 24)),
  'a webhook of n8n': 'https://n8n.example.com/webhook/0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0',
  Discord: join('https://discord.com/api/', 'webhooks/123456789012345678/', some(MIXED, 60)),
}

const node = (parameters: object, more: object = {}) => ({
  name: 'Send it',
  type: 'n8n-nodes-base.httpRequest',
  parameters,
  ...more,
})

describe('a secret', () => {
  test.each(Object.entries(PLANTED))(
    'of %s becomes an input, and none is left',
    async (_, text) => {
      const definition = { nodes: [node({ note: text, deep: { list: ['plain', text] } })] }
      const { definition: stripped, inputs } = await strip(definition)
      expect(inputs).toMatchObject([{ type: 'secret', isRequired: true }])
      const { name } = inputs[0]!
      const [{ parameters }] = stripped.nodes as [{ parameters: Record<string, unknown> }]
      expect(parameters).toEqual({
        note: { $input: name },
        deep: { list: ['plain', { $input: name }] },
      })
      expect(JSON.stringify([stripped, inputs])).not.toContain(text.slice(-12))
      expect(await holdsSecret(canonicalOf(stripped))).toBe(false)
      // Filled in, it runs as it did.
      expect(fill(stripped, inputs, { [name]: text })).toEqual(definition)
    },
  )

  test.each([
    ['password', 'correct-horse'],
    ['clientSecret', 'b2f1a9c07d'],
    ['api_key', 'b2f1a9c07d'],
    ['X-API-Key', 'b2f1a9c07d'],
    ['Authorization', '=Basic dXNlcjpwYXNzd29yZA=='],
    ['accessToken', 'b2f1a9c07d'],
  ])('is known by its name: %s', async (key, text) => {
    for (const parameters of [
      { [key]: text },
      { headerParameters: { parameters: [{ name: key, value: text }] } },
    ]) {
      const { inputs, definition } = await strip({ nodes: [node(parameters)] })
      expect([parameters, inputs.map(({ type }) => type)]).toEqual([parameters, ['secret']])
      expect(JSON.stringify(definition)).not.toContain(text)
    }
  })

  test.each([
    { maxTokens: '4096 tokens' },
    { tokenUrl: 'https://id.example.com/oauth/token' },
    { password: '={{ $json.password }}' },
    { authorization: '=Bearer {{ $credentials.token }}' },
    { token: 'short' },
    { passwordField: 'a field called password' },
    { secret: { $input: 'mine' } },
    { authentication: 'genericCredentialType' },
    { text: 'Forgot your password? Ask support for a token.' },
    { url: 'https://example.com/docs?page=2&sort=name' },
  ])('is not seen where there is none: %j', async (parameters) => {
    const definition = { nodes: [node(parameters)] }
    expect((await strip(definition)).definition).toEqual(definition)
  })

  test('is not hidden by telling the scanner to look away', async () => {
    const secret = PLANTED['GitHub, classic']!
    const definition = {
      a: 'secretlint-disable',
      b: '/* secretlint-disable */\n// secretlint-disable-next-line',
      nodes: [node({ code: `// secretlint-disable\nconst key = "${secret}"` })],
    }
    const { definition: stripped } = await strip(definition)
    expect(JSON.stringify(stripped)).not.toContain(secret)
  })

  test('is asked for once, under a name that says where it stands', async () => {
    const [first, second] = [PLANTED.Stripe!, PLANTED.npm!]
    const { inputs } = await strip({
      nodes: [node({ token: first }), node({ token: second }), node({ other: first })],
    })
    expect(inputs.map(({ name, label }) => [name, label])).toEqual([
      ['send-it-token', 'token of Send it'],
      ['send-it-token-2', 'token of Send it'],
    ])
    expect(inputs[0]!.integration).toBe('stripe')
  })
})

describe('what belongs to the place where it was made', () => {
  test('goes: credentials, pinned and static data, webhooks, instances', async () => {
    const definition = {
      name: 'Flow',
      pinData: { Tell: [{ json: { customer: 'Ada' } }] },
      staticData: { last: 1 },
      versionId: 'x',
      shared: [{ projectId: 'p' }],
      meta: { instanceId: HEX, note: 'stays' },
      nodes: [
        node(
          {},
          {
            name: 'Tell',
            type: 'n8n-nodes-base.slack',
            credentials: { slackApi: { id: '7', name: 'Ours' } },
          },
        ),
        node(
          {},
          {
            name: 'Again',
            type: 'n8n-nodes-base.slack',
            credentials: { slackApi: { id: '7', name: 'Ours' } },
          },
        ),
        node(
          {},
          {
            name: 'Other',
            type: 'n8n-nodes-base.slack',
            credentials: { slackApi: { id: '8', name: 'Yours' } },
          },
        ),
        node(
          { path: '0f1e2d3c-4b5a-4978-8796-a5b4c3d2e1f0', httpMethod: 'POST' },
          { name: 'Hook', type: 'n8n-nodes-base.webhook', webhookId: '0f1e2d3c', pinData: [] },
        ),
        node({ path: 'orders' }, { name: 'Named', type: 'n8n-nodes-base.webhook' }),
      ],
    }
    const before = structuredClone(definition)
    const { definition: stripped, inputs } = await strip(definition)
    // What was given is left as it was.
    expect(definition).toEqual(before)
    expect(Object.keys(stripped).toSorted()).toEqual(['meta', 'name', 'nodes'])
    expect(stripped.meta).toEqual({ note: 'stays' })
    const nodes = stripped.nodes as { credentials?: object; parameters: object }[]
    expect(nodes.map(({ credentials }) => credentials)).toEqual([
      { slackApi: { $input: 'slackapi' } },
      { slackApi: { $input: 'slackapi' } },
      { slackApi: { $input: 'slackapi-2' } },
      undefined,
      undefined,
    ])
    expect(nodes.slice(3).map(({ parameters }) => parameters)).toEqual([
      { httpMethod: 'POST' },
      { path: 'orders' },
    ])
    expect(inputs).toMatchObject([
      { name: 'slackapi', type: 'connection', integration: 'slack' },
      { name: 'slackapi-2', type: 'connection', integration: 'slack' },
    ])
    for (const gone of ['Ada', 'Ours', 'Yours', 'webhookId', HEX, 'pinData'])
      expect(JSON.stringify([stripped, inputs])).not.toContain(gone)
  })

  test('may be nonsense without harm', async () => {
    const nonsense: Definition[] = [
      {},
      { nodes: 'none' },
      { nodes: [null, 1, 'x', [], {}] },
      { nodes: [{ credentials: [] }, { credentials: 'x' }, { credentials: { a: null, b: 1 } }] },
      { nodes: [{ parameters: null, type: 7, name: {} }], meta: 'x' },
      { $input: 'all' },
    ]
    for (const definition of nonsense) await strip(definition)
    const odd = {
      nodes: [{ name: '\u0000 \ud83d\ude00'.repeat(90), parameters: { token: 'x'.repeat(20) } }],
    }
    const [input] = (await strip(odd)).inputs
    expect([input!.label.isWellFormed(), input!.label.includes('\u0000')]).toEqual([true, false])
    expect(input!.name).toMatch(/^[a-z][a-z0-9-]*$/)
  })

  test('leaves open what whoever wrote it has left open, by its place', async () => {
    const { inputs } = await strip({
      nodes: [
        node(
          { channel: { $input: 'channel' }, password: { $input: 'pass' } },
          { credentials: { slackApi: { $input: 'ours' } } },
        ),
      ],
    })
    expect(inputs.map(({ name, type }) => [name, type])).toEqual([
      ['channel', 'text'],
      ['ours', 'connection'],
      ['pass', 'secret'],
    ])
  })
})

describe('a hostile text', () => {
  const MEGABYTE = 1_000_000
  const MICROSECONDS_MAX = 5_000_000
  const filled = (text: string) => text.repeat(Math.floor(MEGABYTE / text.length))

  test.each([
    ...[
      '={{',
      '=}}{{',
      '-eyJ',
      'hook.',
      'https://a:b',
      'Bearer ',
      'token token',
      '?key=',
      'AKIA',
      '\n',
    ],
    ...['-----BEGIN RSA PRIVATE KEY-----', '[[', '](', ' ', '1234567890:', 'eyJaaaaaaaaaa.'],
  ])('of many %j takes no longer than another', async (text) => {
    // Processor time, because others use the machine, too. What grows with the square takes minutes.
    const started = process.cpuUsage()
    await strip({ nodes: [node({ token: filled(text), text: filled(text) })] })
    expect(process.cpuUsage(started).user).toBeLessThan(MICROSECONDS_MAX)
  })

  test('cannot ask for any number of inputs', async () => {
    const secrets = Array.from(
      { length: 20_000 },
      (_, index) => `Bearer ${some(MIXED, 28)}${index}`,
    )
    const nodes = [node({ list: secrets })]
    await expect(strip({ nodes })).rejects.toMatchObject({ code: 'inputs-too-many' })
    const open = Array.from({ length: 501 }, (_, index) => ({ $input: `i${index}` }))
    await expect(strip({ open })).rejects.toMatchObject({ code: 'inputs-too-many' })
    const many = Array.from({ length: 100_000 }, (_, index) => `t${index}`)
    expect((await strip({ many })).inputs).toEqual([])
  })
})
