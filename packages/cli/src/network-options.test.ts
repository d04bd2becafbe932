import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { UsageError } from './failure.ts'
import {
  type NetworkFlags,
  networkOf,
  type PortFlags,
  portsOf,
  withNetworkOptions,
  withPortOptions,
} from './network-options.ts'

/** What the options of a line are, as `create` and `run` read them. */
function parse(line: string): NetworkFlags & PortFlags {
  const command = withPortOptions(withNetworkOptions(new Command())).exitOverride()
  command.configureOutput({ writeErr: () => {} })
  return command.parse(line.split(' ').filter(Boolean), { from: 'user' }).opts()
}

describe('a network', () => {
  test.each([
    ['', undefined],
    ['--network', true],
    ['--no-network', false],
    ['--allow a.example --allow *.b.example:22', { allow: ['a.example', '*.b.example:22'] }],
    ['--deny a.example', { deny: ['a.example'] }],
    ['--network --deny a.example', { deny: ['a.example'] }],
    ['--allow *.a.example --deny b.a.example', { allow: ['*.a.example'], deny: ['b.a.example'] }],
    [
      '--network --deny *.a.example --allow b.a.example',
      { default: 'allow', deny: ['*.a.example'], allow: ['b.a.example'] },
    ],
    ['--learn', { learn: true }],
    ['--learn --network --deny a.example', { learn: true, deny: ['a.example'] }],
    [
      '--learn --deny *.a.example --allow b.a.example',
      { learn: true, deny: ['*.a.example'], allow: ['b.a.example'] },
    ],
    [
      '--network --upload-rate 1Mi --download-rate 10Mi --max-connections 5',
      { upload: '1Mi', download: '10Mi', connections: 5 },
    ],
    ['--allow a.example --upload-rate 1Mi', { allow: ['a.example'], upload: '1Mi' }],
  ])('%j asks for %j', (line, asked) => expect(networkOf(parse(line))).toEqual(asked))

  test.each([
    '--no-network --allow a.example',
    '--no-network --learn',
    '--no-network --upload-rate 1Mi',
    '--upload-rate 1Mi',
    '--max-connections 5',
    '--network --allow a.example',
    '--learn --allow a.example',
  ])('%j is a contradiction', (line) => expect(() => networkOf(parse(line))).toThrow(UsageError))
})

describe('ports', () => {
  test.each([
    ['', undefined],
    ['--port 3000 --port 3000', [3000]],
    ['--port 3000 --public-port 8080', [3000, { port: 8080, access: 'public' }]],
  ])('%j asks for %j', (line, ports) => expect(portsOf(parse(line))).toEqual(ports))

  test('one cannot be private and public', () => {
    expect(() => portsOf(parse('--port 3000 --public-port 3000'))).toThrow('Port 3000')
  })

  test.each(['80', '1023', '65536', '3000x', '-1', '03000', '٣٠٠٠'])('%j is none', (port) =>
    expect(() => parse(`--port ${port}`)).toThrow('1024'),
  )
})
