import { expect, test } from 'vitest'
import { debianPackage, npmPackage } from './package-names.ts'

test.each([
  ['prettier', 'prettier', null],
  ['prettier@3', 'prettier', '3'],
  ['prettier@^3.1.0', 'prettier', '^3.1.0'],
  ['prettier@latest', 'prettier', 'latest'],
  ['@scope/name', '@scope/name', null],
  ['@scope/name@1.2.3-beta.1+7', '@scope/name', '1.2.3-beta.1+7'],
])('npm: %s', (text, name, version) => {
  expect(npmPackage(text)).toEqual({ name, version })
})

test.each([
  '',
  '-g',
  '--registry=http://evil.example',
  '.',
  '..',
  '.hidden',
  './local',
  '../up',
  '/etc/passwd',
  '~/x y',
  'a b',
  'a;b',
  'a\nb',
  '$(id)',
  'git+ssh://git@host/x',
  'http://host/x.tgz',
  'github:user/repo',
  'user/repo',
  'alias@npm:other',
  'file:x',
  'x.tgz',
  'x@y.tar.gz',
  'a@',
  'a@file:x',
  'a@../x',
  'a@-x',
  'Upper',
  '@scope',
  '@scope/',
  '@/name',
  '@scope/name/more',
  'x'.repeat(257),
])('npm: %j is refused', (text) => {
  expect(npmPackage(text)).toBeNull()
})

test.each([
  ['jq', 'jq', null],
  ['g++', 'g++', null],
  ['libstdc++6', 'libstdc++6', null],
  ['jq=1.6-2.1+deb12u1', 'jq', '=1.6-2.1+deb12u1'],
  ['base-files=1:2~rc1', 'base-files', '=1:2~rc1'],
  ['jq/bookworm', 'jq', '/bookworm'],
  ['jq=1.6/bookworm-updates', 'jq', '=1.6/bookworm-updates'],
])('Debian: %s', (text, name, version) => {
  expect(debianPackage(text)).toEqual({ name, version })
})

test.each([
  '',
  'j',
  '-y',
  '--allow-unauthenticated',
  '-oDpkg::Pre-Invoke::=id',
  'jq ',
  'a b',
  'jq;id',
  './x.deb',
  '/tmp/x.deb',
  'jq:amd64',
  'jq=',
  'jq/',
  'jq/../x',
  'Jq',
  'jq\n',
  '^lamp-server',
  'jq*',
  'x'.repeat(257),
])('Debian: %j is refused', (text) => {
  expect(debianPackage(text)).toBeNull()
})
