import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../fixture.ts'
import { build, cannotBuild, putFiles, startBuilding, text, upload } from './world.ts'

const hash = (digit: string) => digit.repeat(64)

describe.skipIf(cannotBuild !== null)('files that a template copies', () => {
  let server: TestServer
  let client: Client
  let count = 0

  beforeAll(async () => {
    server = await startBuilding()
    client = server.client()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  const FILES = {
    'a.txt': 'A',
    '.hidden': 'H',
    'src/one.ts': '1',
    'src/two.ts': '2',
    'src/deep/run.sh': { text: 'echo deep', mode: 0o755 },
    'src/link': { link: 'one.ts' },
    'ünïcode/fïle': 'ü',
  }

  /** Copies in a template of its own, and prints a sandbox of it. */
  async function copied(
    step: { source: string; target: string; user?: string; mode?: number },
    show: string,
    files?: string,
    before: string[] = [],
  ): Promise<string> {
    const name = `copy-${++count}`
    const used = files ?? (await upload(client, FILES))
    const steps = [
      { type: 'workdir' as const, path: '/work' },
      ...before.map((command) => ({ type: 'run' as const, command, user: 'root' })),
      { type: 'copy' as const, files: used, ...step },
    ]
    const built = await build(client, name, { from: { runtime: 'base' }, steps })
    if (built.status !== 'ready') return `${built.reason?.step}: ${built.reason?.message}`
    await using box = await Sandbox.create({ client, template: name })
    return await text(box, show)
  }

  const find = `find . -mindepth 1 -printf '%P %y %m %u\\n' | sort`

  test('a file becomes the target, or comes into it', async () => {
    expect(await copied({ source: 'a.txt', target: 'b.txt' }, find)).toBe('b.txt f 644 agent')
    expect(await copied({ source: './a.txt', target: './new/deep/' }, find)).toBe(
      'new d 755 agent\nnew/deep d 755 agent\nnew/deep/a.txt f 644 agent',
    )
    expect(await copied({ source: 'a.txt', target: '/opt' }, 'cat /opt/a.txt')).toBe('A')
    expect(await copied({ source: 'a.txt', target: '.' }, find)).toBe('a.txt f 644 agent')
    expect(await copied({ source: 'src/link', target: 'l' }, 'readlink l')).toBe('one.ts')
    expect(await copied({ source: 'ünïcode/fïle', target: 'ö' }, 'cat ö')).toBe('ü')
  })

  test('a directory gives what is in it, and leaves what is there as it is', async () => {
    const whole = [
      'deep d 755 agent',
      'deep/run.sh f 755 agent',
      'link l 777 agent',
      'one.ts f 644 agent',
      'two.ts f 644 agent',
    ].join('\n')
    expect(await copied({ source: 'src', target: '.' }, find)).toBe(whole)
    expect(await copied({ source: 'src/', target: 'into' }, `cd into; ${find}`)).toBe(whole)
    const there = ['mkdir -p deep && chmod 700 deep && echo old > deep/old && echo old > one.ts']
    expect(
      await copied(
        { source: 'src', target: '.' },
        `sudo sh -c "cat deep/old one.ts; stat -c %a%U deep"`,
        undefined,
        there,
      ),
    ).toBe('old\n1700root')
    expect(
      await copied({ source: '.', target: '/all/' }, 'cat /all/a.txt /all/.hidden /all/src/two.ts'),
    ).toBe('AH2')
  })

  test('a pattern gives what is below its first part without wildcards', async () => {
    const files = await upload(client, { 'src/one.ts': '1', 'src/two.ts': '2' }, { gzip: false, alone: true })
    expect(await copied({ source: 'src/*.ts', target: 'out' }, 'cat out/one.ts out/two.ts', files)).toBe('12')
    const deep = await upload(client, { 'src/deep/run.sh': 'x' }, { alone: true })
    expect(await copied({ source: 'src/**/*.sh', target: '/out/' }, 'cat /out/deep/run.sh', deep)).toBe('x')
  })

  test('belongs to whom it says, with the mode that it says', async () => {
    expect(await copied({ source: 'src', target: '.', user: 'root', mode: 0o640 }, `sudo ${find}`)).toBe(
      [
        'deep d 750 root',
        'deep/run.sh f 640 root',
        'link l 777 root',
        'one.ts f 640 root',
        'two.ts f 640 root',
      ].join('\n'),
    )
    expect(await copied({ source: 'a.txt', target: 'a', user: 'root:www-data' }, 'stat -c %U:%G a')).toBe(
      'root:www-data',
    )
    expect(await copied({ source: 'a.txt', target: 'a', user: '33:44' }, 'stat -c %u:%g a')).toBe('33:44')
  })

  test('links of the template are its own, and lead to nothing outside', async () => {
    const there = ['ln -s /etc inside && ln -s ../../../../../../etc out && ln -s /etc/hostname file']
    expect(await copied({ source: 'a.txt', target: 'inside/a' }, 'cat /etc/a', undefined, there)).toBe('A')
    expect(await copied({ source: 'a.txt', target: 'out/b' }, 'cat /etc/b', undefined, there)).toBe('A')
  })

  test('what is not there, or no archive, or leads elsewhere fails the step', async () => {
    expect(await copied({ source: 'nope', target: '.' }, '')).toMatch(/^2: .*nothing at "nope"/)
    await putFiles(client, hash('a'), Buffer.from('this is no archive at all'.repeat(100)))
    expect(await copied({ source: '.', target: '.' }, '', hash('a'))).toMatch(/^2: .*no whole tar archive/)
    await putFiles(client, hash('b'), Buffer.from('1f8b08000000000000', 'hex'))
    expect(await copied({ source: '.', target: '.' }, '', hash('b'))).toMatch(/^2: .*no whole tar archive/)
    expect(await copied({ source: 'a.txt', target: 'x', user: 'nobody-here' }, '')).toMatch(/^2: /)
    expect(await copied({ source: 'src', target: '/proc' }, '')).toMatch(/^2: .*\/proc/)
  })
})
