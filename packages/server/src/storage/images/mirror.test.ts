import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { hostMirrors, PUBLIC_MIRRORS, sourceLines } from './mirror.ts'

let etc: string
beforeEach(async () => {
  etc = await mkdtemp(join(tmpdir(), 'caisson-apt-'))
  await mkdir(join(etc, 'sources.list.d'))
})
afterEach(() => rm(etc, { recursive: true, force: true }))

test('a host without apt builds from the public mirrors', async () => {
  expect(await hostMirrors(join(etc, 'absent'))).toEqual(PUBLIC_MIRRORS)
})

test('one-line sources, with options and without', async () => {
  const text = [
    '# deb http://commented.example/debian bookworm main',
    'deb-src http://source.example/debian bookworm main',
    'deb [arch=amd64 signed-by=/key.gpg] https://mirror.example/debian/ bookworm main',
    'deb http://mirror.example/debian-security bookworm-security main',
  ]
  await writeFile(join(etc, 'sources.list'), `${text.join('\n')}\n`)
  expect(await hostMirrors(etc)).toEqual({
    main: 'https://mirror.example/debian',
    security: 'http://mirror.example/debian-security',
  })
})

test('deb822 sources, folded and disabled', async () => {
  const text = `# comment
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb deb-src
# http://snapshot.example/debian
URIs: http://other.example/tool
 http://mirror.example/pub/debian/
Suites: bookworm bookworm-updates
Components: main
`
  await writeFile(join(etc, 'sources.list.d/debian.sources'), text)
  expect(await hostMirrors(etc)).toEqual({ ...PUBLIC_MIRRORS, main: 'http://mirror.example/pub/debian' })
})

test("another distribution's mirrors and other files are not taken for Debian's", async () => {
  await writeFile(join(etc, 'sources.list'), 'deb http://archive.example/ubuntu noble main\n')
  await writeFile(join(etc, 'sources.list.d/x.list.save'), 'deb http://old.example/debian bookworm main\n')
  await writeFile(join(etc, 'sources.list.d/y.list'), 'deb cdrom:[Debian]/debian bookworm main\n')
  expect(await hostMirrors(etc)).toEqual(PUBLIC_MIRRORS)
})

test('a suite brings its updates and security fixes; sid has neither', () => {
  const mirrors = { main: 'http://m/debian', security: 'http://m/debian-security' }
  expect(sourceLines(mirrors, 'trixie', ['main', 'contrib'])).toEqual([
    'deb http://m/debian trixie main contrib',
    'deb http://m/debian trixie-updates main contrib',
    'deb http://m/debian-security trixie-security main contrib',
  ])
  expect(sourceLines(mirrors, 'sid', ['main'])).toEqual(['deb http://m/debian sid main'])
})
