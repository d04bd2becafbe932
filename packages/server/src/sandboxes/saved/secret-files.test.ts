import { describe, expect, test } from 'vitest'
import { mayHoldSecrets } from './secret-files.ts'

describe('files that may hold secrets', () => {
  test.each([
    'root/.bash_history',
    'home/agent/.zsh_history',
    'home/agent/.python_history',
    'home/agent/.netrc',
    'home/agent/.git-credentials',
    'home/agent/.ssh/id_ed25519',
    'srv/deploy/id_rsa',
    'etc/ssh/ssh_host_ed25519_key',
    'home/agent/.aws/credentials',
    'home/agent/.config/gh/hosts.yml',
    'home/agent/.kube/config',
    'home/agent/.claude/.credentials.json',
    'home/agent/workspace/.env',
    'home/agent/workspace/.env.production',
    'app/release.jks',
    'home/agent/.gnupg/private-keys-v1.d/AB.key',
  ])('%s', (path) => expect(mayHoldSecrets(path)).toBe(true))

  test.each([
    ['home/agent/.npmrc', '//registry.npmjs.org/:_authToken=npm_x', 'registry=https://registry.npmjs.org/'],
    ['app/server.pem', '-----BEGIN RSA PRIVATE KEY-----', '-----BEGIN CERTIFICATE-----'],
    ['app/tls.key', '-----BEGIN PRIVATE KEY-----', 'a translation key'],
    ['root/.docker/config.json', '{"auths":{"x":{"auth": "YTpi"}}}', '{"auths":{}}'],
    ['etc/pip.conf', 'index-url = https://me:pass@example.com/', 'index-url = https://example.com/'],
  ])('%s by what is in it', (path, secret, harmless) => {
    const pattern = mayHoldSecrets(path) as RegExp
    expect(pattern.test(secret)).toBe(true)
    expect(pattern.test(harmless)).toBe(false)
  })

  test.each([
    'home/agent/.bashrc',
    'home/agent/.ssh/id_ed25519.pub',
    'home/agent/.ssh/known_hosts',
    'home/agent/workspace/.env.example',
    'home/agent/workspace/config.json',
    'usr/lib/python3/site.py',
    'home/agent/.aws/config',
  ])('but not %s', (path) => expect(mayHoldSecrets(path)).toBe(false))
})
