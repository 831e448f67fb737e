import { BlockList, isIPv6 } from 'node:net'
import { describe, expect, test } from 'vitest'
import { bytesOfAddress, isPublicAddress } from '../../src/platform/public-address.ts'
import { faultOfUrl } from '../../src/webhooks/address.ts'

const PRIVATE = [
  ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '10.255.255.255', '100.64.0.1', '100.127.255.255'],
  ...['127.0.0.1', '127.255.255.254', '169.254.169.254', '172.16.0.1', '172.31.255.255'],
  ...['192.0.0.8', '192.0.2.1', '192.88.99.1', '192.168.1.1', '198.18.0.1', '198.19.255.255'],
  ...['198.51.100.7', '203.0.113.9', '224.0.0.1', '239.255.255.250', '240.0.0.1'],
  ...['255.255.255.255', '::', '::1', '::7f00:1', '::127.0.0.1', '::ffff:127.0.0.1'],
  ...['::ffff:7f00:1', '::ffff:8.8.8.8', '::ffff:0:10.0.0.1', '64:ff9b::10.0.0.1'],
  ...['64:ff9b::808:808', '64:ff9b:1::1', '100::1', '2001::1', '2001:0:53aa:64c::1'],
  ...['2001:db8::1', '2002:7f00:1::', '2002:0808:0808::1', '3fff::1', '5f00::1', 'fc00::1'],
  ...['fd00:ec2::254', 'fdff::1', 'fe80::1', 'febf::1', 'fec0::1', 'ff02::1', 'FE80::A'],
]
const PUBLIC = [
  ...['1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0'],
  ...['126.255.255.255', '128.0.0.0', '169.253.255.255', '169.255.0.0', '172.15.255.255'],
  ...['172.32.0.0', '192.0.1.0', '192.167.255.255', '192.169.0.0', '198.17.255.255'],
  ...['198.20.0.0', '223.255.255.255', '2606:4700:4700::1111', '2a00:1450:4001:81b::200e'],
  ...['2001:4860:4860::8888', '2001:200::1', '2003::1', 'fbff::1', '64:ff9c::1'],
]
/** What is no address: nothing of it is taken for one, and so nothing of it for a public one. */
const NONE = [
  ...['', 'localhost', '1.2.3', '1.2.3.4.5', '256.1.1.1', '1.2.3.-4', '0x7f.0.0.1', '01.2.3.4567'],
  ...[':', ':::', '1:2', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', '::12345', '::g'],
  ...['fe80::1%eth0', '[::1]', '::1.2.3', '::256.1.1.1', '1:2:3:4:5:6:7:1.2.3.4', '1.2.3.4::'],
]

describe('an address', () => {
  test.each(PRIVATE)('%s is not public', (address) => {
    expect([isPublicAddress(address), bytesOfAddress(address)]).toEqual([false, expect.any(Array)])
  })
  test.each(PUBLIC)('%s is public', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })
  test.each(NONE)('%s is none', (text) => {
    expect([bytesOfAddress(text), isPublicAddress(text)]).toEqual([undefined, false])
  })

  test('is judged as by the ranges of Node, at every border', () => {
    const blocked = new BlockList()
    const ranges = [
      ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16'],
      ...['172.16.0.0/12', '192.168.0.0/16', '198.18.0.0/15', '224.0.0.0/4', '240.0.0.0/4'],
      ...['::/96', '64:ff9b::/96', '2001:db8::/32', '2002::/16', '2001::/23', '3fff::/20'],
      ...['fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
    ]
    const borders = []
    for (const range of ranges) {
      const [address = '', bits = ''] = range.split('/')
      blocked.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4')
      borders.push(...aroundOf(bytesOfAddress(address)!, Number(bits)))
    }
    for (const address of borders) {
      const isBlocked = blocked.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
      if (isBlocked) expect([address, isPublicAddress(address)]).toEqual([address, false])
    }
    expect(borders.filter(isPublicAddress).length).toBeGreaterThan(20)
  })
})

/** The first and the last address of a range, and those before and after it. */
const aroundOf = (bytes: number[], bits: number): string[] => {
  const size = BigInt(bytes.length * 8)
  const first = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
  const last = first + (1n << (size - BigInt(bits))) - 1n
  return [first - 1n, first, last, last + 1n]
    .filter((value) => value >= 0n && value < 1n << size)
    .map((value) =>
      size === 32n
        ? [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.')
        : (value.toString(16).padStart(32, '0').match(/.{4}/g) ?? []).join(':'),
    )
}

describe('a URL', () => {
  test.each([
    ...['https://hooks.example.com', 'https://hooks.example.com:8443/a?b=c', 'https://1.1.1.1/'],
    ...['https://[2606:4700:4700::1111]/x', 'https://EXAMPLE.com./x', 'https://xn--bcher-kva.de/'],
    'https://localhost.example.com/',
  ])('%s may be told', (url) => {
    expect(faultOfUrl(url, false)).toBeUndefined()
  })

  test.each([
    // Not of the Internet, in every way of writing it.
    ...['https://127.0.0.1/', 'https://127.1/', 'https://2130706433/', 'https://0x7f.1/'],
    ...['https://0177.0.0.1/', 'https://0x7f000001/', 'https://017700000001/', 'https://0/'],
    ...['https://127.0.0.1./', 'https://[::1]/', 'https://[::ffff:127.0.0.1]/', 'https://[::]/'],
    ...['https://[0:0:0:0:0:ffff:7f00:1]/', 'https://[::127.0.0.1]/', 'https://１２７.０.０.１/'],
    ...['https://①②⑦.⓪.⓪.①/', 'https://127。0。0。1/', 'https://%31%32%37.0.0.1/'],
    ...['https://169.254.169.254/latest/meta-data/', 'https://[fd00:ec2::254]/'],
    ...['https://[64:ff9b::a9fe:a9fe]/', 'https://10.0.0.1:8443/', 'https://192.168.0.1/'],
    // Names that are never public.
    ...['https://localhost/', 'https://LOCALHOST./', 'https://a.localhost/', 'https://intranet/'],
    ...['https://printer.local/', 'https://db.internal/', 'https://metadata.google.internal/'],
    ...['https://router.home.arpa/', 'https://x.corp/', 'https://x.lan/', 'https://x.test/'],
    // Another door than the one that is meant.
    ...['http://hooks.example.com/', 'ftp://hooks.example.com/', 'file:///etc/passwd'],
    ...['https://user:word@hooks.example.com/', 'https://user@hooks.example.com/'],
    ...['https://hooks.example.com/#', 'https://hooks.example.com/#a', 'https://a.example.com:22/'],
    ...['https://a.example.com:6379/', 'https://a.example.com:25/', 'javascript:alert(1)'],
    ...['hooks.example.com', '//hooks.example.com', 'https://', 'https://a b/', ''],
  ])('%s may not', (url) => {
    expect(faultOfUrl(url, false)).toMatch(/^must /)
  })

  test('may be private and without TLS where the setting says so, but no more than that', () => {
    for (const url of ['http://127.0.0.1:3000/', 'http://localhost/', 'https://db.internal/'])
      expect(faultOfUrl(url, true)).toBeUndefined()
    for (const url of ['http://a:b@localhost/', 'ftp://localhost/', 'http://localhost:6379/'])
      expect(faultOfUrl(url, true)).toMatch(/^must /)
  })
})
