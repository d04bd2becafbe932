import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { type TestServer, temporaryDirectory, test } from '../fixture.ts'
import { cannotBuild, startBuilding } from '../templates/world.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape.
async function json(server: TestServer, ...args: string[]): Promise<any> {
  const { stdout, stderr, code } = await server.cli([...args, '--json'])
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return JSON.parse(stdout)
}

const BUILD_FILE = `
version: 1
name: greeter
runtime: base
memory: 256Mi
ignore: ["**/*.log"]
user: app
steps:
  - user: root
  - copy: --chown=app --chmod=755 src/ /srv/app/
  - env: GREETING=hello
  - workdir: /srv/app
  - run: ls -A > /srv/listing
  - user: app
start: echo started > /tmp/started; sleep 1000
ready: test -f /tmp/started
`

describe.skipIf(cannotBuild !== null)('templates', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startBuilding()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test('are built from a file, used, tagged and deleted', async () => {
    await using directory = await temporaryDirectory()
    const cwd = join(directory.path, 'project')
    mkdirSync(join(cwd, 'src'), { recursive: true })
    writeFileSync(join(cwd, 'src/greet.sh'), 'echo "$GREETING $PWD $(id -un)"\n')
    writeFileSync(join(cwd, 'src/.hidden'), '')
    writeFileSync(join(cwd, 'src/left.log'), '')
    writeFileSync(join(cwd, 'caisson-template.yaml'), BUILD_FILE)
    const built = await server.cli(['template', 'build', '.'], { cwd })
    expect(built.stderr).toContain('built greeter:latest')
    const id = built.stdout.trim()
    expect(id).toMatch(/^tpl_/)
    const sandbox = (await server.cli(['create', '--template', 'greeter'])).stdout.trim()
    expect((await server.cli(['exec', sandbox, '--', './greet.sh'])).stdout).toBe('hello /srv/app app\n')
    expect((await server.cli(['exec', sandbox, '--', 'cat', '/srv/listing', '/tmp/started'])).stdout).toBe(
      '.hidden\ngreet.sh\nstarted\n',
    )
    expect((await server.cli(['get', sandbox])).stdout).toMatch(
      new RegExp(`template +${id}[\\s\\S]*works in`),
    )
    expect(await json(server, 'list', '--template', id)).toMatchObject({ sandboxes: [{ id: sandbox }] })
    const again = await server.cli(['tpl', 'build', '.', '--tag', 'v2', '--json'], { cwd })
    const { build, tags } = JSON.parse(again.stdout)
    expect([build.status, tags.map(({ tag }: { tag: string }) => tag).sort()]).toEqual([
      'ready',
      ['latest', 'v2'],
    ])
    expect((await server.cli(['template', 'logs', build.id])).stderr).toContain(`${build.id} is ready`)
    expect((await json(server, 'template', 'logs', build.id)).entries.length).toBeGreaterThan(0)
    expect((await server.cli(['template', 'tag', 'greeter', 'stable', '--build', 'v2'])).stdout).toContain(
      'stable',
    )
    expect((await server.cli(['template', 'untag', 'greeter', 'v2'])).stdout).not.toContain('v2')
    expect((await server.cli(['template', 'list'])).stdout).toMatch(/tpl_\S+ +greeter +\S*stable/)
    expect((await server.cli(['template', 'get', 'greeter'])).stdout).toMatch(/memory +256Mi/)
    await server.cli(['delete', sandbox])
    expect((await server.cli(['template', 'delete', 'greeter'])).stdout).toBe('deleted greeter\n')
    expect((await json(server, 'template', 'list')).total).toBe(0)
  })

  test('are built from a Dockerfile', async () => {
    await using directory = await temporaryDirectory()
    writeFileSync(
      join(directory.path, 'Dockerfile'),
      'FROM base\nENV A="b c"\nRUN echo "$A" \\\n  > /tmp/f\nCMD ["sleep", "1000"]\n',
    )
    const args = ['template', 'build', join(directory.path, 'Dockerfile'), '--name', 'docker', '--quiet']
    expect((await server.cli(args)).code).toBe(0)
    expect((await server.cli(['run', '--template', 'docker', '--', 'cat', '/tmp/f'])).stdout).toBe('b c\n')
    await server.cli(['template', 'delete', 'docker'])
  })

  test('say in which step a build has failed', async () => {
    await using directory = await temporaryDirectory()
    const file = join(directory.path, 'caisson-template.yaml')
    writeFileSync(
      file,
      'version: 1\nname: broken\nruntime: base\nsteps:\n  - run: "true"\n  - run: echo no; exit 3\n',
    )
    const failed = await server.cli(['template', 'build', file])
    expect(failed).toMatchObject({ code: 1, stdout: '' })
    expect(failed.stderr).toMatch(/\[2\] no[\s\S]*could not be built: step 2: /)
    await server.cli(['template', 'delete', 'broken'])
  })
})

test('a file with mistakes is refused before anything is sent', async ({ server }) => {
  await using directory = await temporaryDirectory()
  const file = join(directory.path, 'Dockerfile')
  writeFileSync(file, 'FROM a\nENTRYPOINT x\n')
  expect(await server.cli(['template', 'build', file])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Dockerfile:2: ENTRYPOINT is not supported'),
  })
  expect(await server.cli(['template', 'build', '/no/such'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('there is no such file'),
  })
})
