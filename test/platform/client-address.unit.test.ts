import { describe, expect, test } from 'vitest'
import { isInRanges, isSameAddress, parseRange } from '../../src/platform/address-range.ts'
import { clientAddressOf } from '../../src/platform/http/client-address.ts'

const ranges = (...texts: string[]) => texts.map((text) => parseRange(text)!)

describe('a range of addresses', () => {
  test.each([
    ['203.0.113.0/24', ['203.0.113.0', '203.0.113.255', '::ffff:203.0.113.9'], ['203.0.112.255']],
    ['203.0.113.7', ['203.0.113.7'], ['203.0.113.6', '::203.0.113.7']],
    ['10.0.0.0/9', ['10.127.255.255'], ['10.128.0.0']],
    ['0.0.0.0/0', ['1.2.3.4', '::ffff:1.2.3.4'], ['::1']],
    ['2001:db8::/32', ['2001:db8::', '2001:DB8:ffff::1'], ['2001:db9::', '203.0.113.1']],
    ['::ffff:10.0.0.0/104', ['10.1.2.3', '::ffff:10.1.2.3'], ['11.0.0.0']],
    ['::/0', ['::1', '2001:db8::1'], ['1.2.3.4']],
  ])('%s', (text, inside, outside) => {
    for (const address of inside)
      expect([address, isInRanges(address, ranges(text))]).toEqual([address, true])
    for (const address of outside)
      expect([address, isInRanges(address, ranges(text))]).toEqual([address, false])
  })

  test.each([
    ...[
      '',
      '/',
      '10.0.0.0/',
      '10.0.0.0/33',
      '10.0.0.0/-1',
      '10.0.0.1/24',
      '10.0.0/8',
      '010.0.0.0000',
    ],
    ...[
      '::/129',
      '2001:db8::1/32',
      '1:2',
      'localhost',
      '10.0.0.0/8,',
      ' 10.0.0.1',
      'fe80::1%1',
      '::ffff:0:0/90',
    ],
  ])('is not %j', (text) => {
    expect(parseRange(text)).toBe(undefined)
  })

  test('has an address in one of two spellings', () => {
    expect(isSameAddress('2001:db8::1', '2001:0DB8:0:0::0001')).toBe(true)
    expect(isSameAddress('::ffff:1.2.3.4', '1.2.3.4')).toBe(true)
    expect(isSameAddress('1.2.3.4', '1.2.3.5')).toBe(false)
    expect(isSameAddress('x', 'x')).toBe(false)
  })
})

describe('the address of a client', () => {
  const trusted = ranges('10.0.0.0/8', 'fd00::/8')
  const of = (
    peer: string | undefined,
    forwardedFor: string | null,
    forwarded: string | null = null,
  ) => clientAddressOf({ peer, forwardedFor, forwarded }, trusted)

  test.each([
    ['of a connection', '1.2.3.4', null, null, '1.2.3.4'],
    ['of a connection, whatever it says', '1.2.3.4', '9.9.9.9', 'for=9.9.9.9', '1.2.3.4'],
    ['behind a proxy', '10.0.0.1', '9.9.9.9', null, '9.9.9.9'],
    ['behind two proxies', '10.0.0.1', '9.9.9.9, 10.0.0.2', null, '9.9.9.9'],
    ['that wrote a header of its own', '10.0.0.1', '8.8.8.8, 9.9.9.9, fd00::2', null, '9.9.9.9'],
    ['that is a proxy', '10.0.0.1', null, null, '10.0.0.1'],
    ['that is the first of the proxies', '10.0.0.1', '10.0.0.3, 10.0.0.2', null, '10.0.0.3'],
    ['with a port', '10.0.0.1', '9.9.9.9:4711', null, '9.9.9.9'],
    ['of RFC 7239', '10.0.0.1', null, 'For="[2001:db8::1]:47";proto=https', '2001:db8::1'],
    [
      'of RFC 7239, after others',
      'fd00::1',
      null,
      'for=8.8.8.8, for=9.9.9.9;by=10.0.0.1',
      '9.9.9.9',
    ],
    ['that both say', '10.0.0.1', '9.9.9.9', 'for=9.9.9.9', '9.9.9.9'],
  ])('%s', (_, peer, forwardedFor, forwarded, client) => {
    expect(of(peer, forwardedFor, forwarded)).toBe(client)
  })

  test.each([
    ['the connection has none', undefined, '9.9.9.9', null],
    ['the two headers differ', '10.0.0.1', '9.9.9.9', 'for=8.8.8.8'],
    ['one header is right and the other hidden', '10.0.0.1', '9.9.9.9', 'for=_hidden'],
    ['the proxy hides it', '10.0.0.1', null, 'for=unknown'],
    ['the header is empty', '10.0.0.1', '', null],
    ['the header holds no address', '10.0.0.1', '9.9.9.9, x', null],
    ['an element has no for', '10.0.0.1', null, 'for=9.9.9.9, proto=https'],
  ])('is unknown where %s', (_, peer, forwardedFor, forwarded) => {
    expect(of(peer, forwardedFor, forwarded)).toBe(undefined)
  })

  test('trusts nobody where nobody is named', () => {
    const hops = { peer: '10.0.0.1', forwardedFor: '9.9.9.9', forwarded: null }
    expect(clientAddressOf(hops, [])).toBe('10.0.0.1')
  })
})
