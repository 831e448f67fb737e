import { describe, expect, test } from 'vitest'
import { isKnownLicense, misfitOf, requireLicense } from '../../src/templates/license.ts'
import { findLookAlike } from '../../src/templates/look-alike.ts'
import { capabilitiesOf } from '../../src/templates/manifest.ts'
import { faultsOfMarkdown } from '../../src/templates/markdown.ts'

describe('a name', () => {
  test.each([
    ['acme-corp', 'acmecorp'],
    ['acme-corp', 'acme-c0rp'],
    ['acme-corp', 'acrne-corp'],
    ['acme-corp', 'acme-corps'],
    ['paypal', 'paypa1'],
    ['paypal', 'раураl'],
    ['Google Sheets', 'G00GLE sheets'],
    ['Google Sheets', 'Gοοgle  Sheets!'],
    ['Crème brûlée', 'creme brulee'],
    ['winner', 'vvinner'],
    ['microsoft', 'micro-soft'],
    ['microsoft', 'rnicrosoft'],
    ['ab', 'a-b'],
  ])('%s looks like %s', (known, text) => {
    expect(findLookAlike(text, ['unrelated', known])).toBe(known)
  })

  test.each([
    ['acme-corp', 'acme-labs'],
    ['ab', 'ac'],
    ['abc', 'abd'],
    ['slack', 'stack-overflow'],
    ['日本', '中国'],
    ['!!!', '???'],
  ])('%s does not look like %s', (known, text) => {
    expect(findLookAlike(text, [known])).toBeUndefined()
  })
})

describe('Markdown', () => {
  const fatal = (text: string) => faultsOfMarkdown(text).some(({ isFatal }) => isFatal)

  test.each([
    '<script>x</script>',
    'a <b>bold</b> word',
    '<!-- hidden -->',
    '</p>',
    '<img src=x onerror=alert(1)>',
    '<iframe src="https://x.example">',
    '[x](javascript:alert(1))',
    '[x]( JaVaScRiPt:alert(1))',
    '[x](<javascript:alert(1)>)',
    '[x](java\tscript:alert(1))',
    '[x](java&#115;cript:alert(1))',
    '[x](javascript&#x3a;alert(1))',
    '[x](javascript&colon;alert(1))',
    '[x](\\javascript:alert(1))',
    '[x](data:text/html;base64,PHN=)',
    '[x](vbscript:x)',
    '[x](file:///etc/passwd)',
    '[x]: javascript:alert(1)\n\n[x]',
    '- [x]: javascript:alert(1)',
    '![x](javascript:alert(1))',
    '<javascript:alert(1)>',
    '`<b>` in a line',
    '`a\n- b` <script>x</script> `c`',
    '> ```\n<script>x</script>',
    '- a\n  ```\n<script>x</script>',
    '```\nfine\n```\n<script>x</script>',
    '~~~\n```\n~~~\n<b>',
    '```a`b\n<b>\n```',
    '    ```\n<b>',
  ])('is refused: %j', (text) => {
    expect([text, fatal(text)]).toEqual([text, true])
  })

  test.each([
    '# Title\n\nSome *text* with [a link](https://example.com/a?b=c:d#e).',
    '[mail](mailto:a@example.com) [here](#part) [there](/docs) [near](docs/x.md)',
    '<https://example.com/x> and <mailto:a@example.com>',
    '1 < 2 and a <- b',
    '```html\n<script>x</script>\n```',
    '~~~\n<b>\n~~~',
    '```\nnever closed <b>',
    'a `code` word, and `javascript:` too',
    '',
  ])('is taken: %j', (text) => {
    expect([text, fatal(text)]).toEqual([text, false])
  })

  test.each(['[[', '](', '<a:', '<http://a', '![', '`', '```\n', '[a]: ', '&#x', '&#120;'])(
    'of many %j takes no longer than another',
    (text) => {
      const started = process.cpuUsage()
      faultsOfMarkdown(text.repeat(40_000 / text.length))
      expect(process.cpuUsage(started).user).toBeLessThan(3_000_000)
    },
  )

  test('that shows pictures is only warned of', () => {
    expect(faultsOfMarkdown('![x](https://example.com/x.png)')).toMatchObject([{ isFatal: false }])
  })
})

describe('a license', () => {
  test('is an id of SPDX or a name of one’s own', () => {
    for (const license of ['MIT', 'Apache-2.0', 'GPL-3.0-or-later', 'LicenseRef-Ours'])
      expect(() => requireLicense(license)).not.toThrow()
    for (const license of ['mit', 'GPL', 'Free', 'LicenseRef-', 'MIT OR GPL-2.0-only', ''])
      expect(() => requireLicense(license)).toThrow('license-unknown')
    expect([isKnownLicense('MIT'), isKnownLicense('LicenseRef-Ours')]).toEqual([true, false])
  })

  test.each([
    ['MIT', 'GPL-3.0-only', true],
    ['MIT', 'AGPL-3.0-only', true],
    ['LGPL-3.0-only', 'GPL-3.0-only', true],
    ['GPL-2.0-only', 'GPL-3.0-or-later', false],
    ['GPL-3.0-only', 'MIT', false],
    ['Apache-2.0', 'MIT', false],
    ['MIT', 'CC-BY-SA-4.0', true],
    ['MIT', 'CC-BY-ND-4.0', true],
    ['MIT', 'CC-BY-NC-4.0', true],
    ['CC-BY-NC-SA-4.0', 'CC-BY-NC-4.0', false],
    ['MIT', 'LicenseRef-Theirs', true],
    ['LicenseRef-Theirs', 'LicenseRef-Theirs', false],
  ])('%s of %s is flagged: %s', (license, original, isFlagged) => {
    expect(misfitOf(license, original) !== undefined).toBe(isFlagged)
  })
})

describe('capabilities', () => {
  const of = (parameters: object, type = 'n8n-nodes-base.httpRequest') =>
    capabilitiesOf({ nodes: [{ type, parameters }] })

  test('name a host that is written out, and say so where none is', () => {
    expect(of({ url: 'https://api.example.com/v1' })).toEqual(['host:api.example.com'])
    expect(of({ url: 'https://user@API.example.com:8443/' })).toEqual(['host:api.example.com'])
    for (const url of [
      '={{ $json.url }}',
      '=https://{{ $json.host }}/x',
      'https://{{host}}/',
      { $input: 'address' },
      'http://2130706433/',
    ])
      expect([url, of({ url })]).toEqual([url, ['host:*']])
    expect(of({ options: { baseURL: '={{ $env.BASE }}' } })).toEqual(['host:*'])
  })

  test('hold nothing that could not be stored', () => {
    const declared = ['a'.repeat(300), 'b\u0000', 'c d', '\ud800', '', 7, null, 'fine']
    expect(capabilitiesOf({ reads: declared, permissions: declared })).toEqual([
      'permission:fine',
      'reads:fine',
    ])
  })
})
