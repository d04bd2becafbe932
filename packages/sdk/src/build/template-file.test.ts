import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readDockerfile } from './dockerfile.ts'
import { readTemplate } from './template-file.ts'
import { readTemplateSpec } from './template-spec.ts'

const docker = (...lines: string[]) => readDockerfile(['FROM python:3.13', ...lines].join('\n'), 'Dockerfile')

describe('a Dockerfile', () => {
  test('becomes steps, and its CMD what runs from the start', () => {
    const read = docker(
      '# a comment',
      'ENV A=1 B="two words" C=\'$A\'',
      'ENV OLD the rest of it',
      'WORKDIR /app',
      'WORKDIR sub',
      'COPY --chown=user --chmod=755 src/a "src/b c" /app/',
      'COPY ["x y", "/z"]',
      'RUN apt-get update && \\',
      '    # between',
      '    echo $HOME',
      'RUN ["echo", "it\'s"]',
      'USER user',
      'CMD ["python", "-m", "http.server", "8000"]',
    )
    expect(read).toEqual({
      from: { image: 'python:3.13' },
      steps: [
        { type: 'env', env: { A: '1', B: 'two words', C: '$A' } },
        { type: 'env', env: { OLD: 'the rest of it' } },
        { type: 'workdir', path: '/app' },
        { type: 'workdir', path: '/app/sub' },
        { type: 'copy', source: 'src/a', target: '/app/', user: 'user', mode: 0o755 },
        { type: 'copy', source: 'src/b c', target: '/app/', user: 'user', mode: 0o755 },
        { type: 'copy', source: 'x y', target: '/z' },
        { type: 'run', command: 'apt-get update &&  echo $HOME' },
        { type: 'run', command: `echo 'it'\\''s'` },
        { type: 'user', user: 'user' },
      ],
      startCommand: 'python -m http.server 8000',
    })
  })

  test('sets variables for what comes after', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: what a Dockerfile says.
    const { steps } = docker('ENV D=/srv', 'ENV E="$D/x" F=\'$D\' G=\\$D', 'WORKDIR ${D}', 'COPY a $D/b')
    expect(steps).toEqual([
      { type: 'env', env: { D: '/srv' } },
      { type: 'env', env: { E: '/srv/x', F: '$D', G: '$D' } },
      { type: 'workdir', path: '/srv' },
      { type: 'copy', source: 'a', target: '/srv/b' },
    ])
  })

  test.each([
    ['ADD x /', /Dockerfile:2: ADD is not supported/],
    ['ENTRYPOINT ["x"]', /ENTRYPOINT is not supported/],
    ['ARG X', /ARG is not supported/],
    ['EXPOSE 80', /EXPOSE is not supported/],
    ['HEALTHCHECK NONE', /HEALTHCHECK is not supported/],
    ['FROM other', /several stages/],
    ['RUN --mount=type=cache,target=/x make', /--mount/],
    ['RUN <<EOF\necho\nEOF', /here-document/],
    ['COPY --from=build /x /y', /--from/],
    ['COPY --chown=a:b x /', /group/],
    ['COPY --chmod=u+x x /', /octal/],
    ['COPY x', /where to/],
    ['COPY a b /c', /end with "\/"/],
    ['ENV PATH=/x:$PATH', /\$PATH, which no ENV/],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: what a Dockerfile says.
    ['ENV A=${B:-c}', /more than a name/],
    ['ENV A="b', /without its end/],
    ['ENV', /says nothing/],
    ['WORKDIR a', /absolute/],
    ['WORKDIR /a /b', /one word/],
    ['USER a:b', /group/],
    ['CMD', /says nothing/],
    ['toString x', /TOSTRING is not supported/],
  ])('is refused by name: %s', (line, message) => {
    expect(() => docker(line)).toThrow(message)
  })

  test.each([
    ['', /no FROM/],
    ['RUN x\nFROM y', /RUN stands before FROM/],
    ['FROM $IMAGE', /variable/],
    ['FROM a AS b', /stages/],
    ['FROM --platform=linux/amd64 a', /without options/],
    ['# escape=`\nFROM a', /escape/],
  ])('needs one plain FROM: %s', (text, message) => {
    expect(() => readDockerfile(text, 'Dockerfile')).toThrow(message)
  })
})

describe('a build file', () => {
  test('has the same instructions', () => {
    const text = [
      'version: 1',
      'name: web',
      'runtime: base',
      'memory: 512Mi',
      'tags: [v1, latest]',
      'ignore: ["**/*.log"]',
      'steps:',
      '  - user: root',
      '  - env: A=1.10',
      '  - run: |',
      '      apt-get update',
      '      apt-get install -y curl',
      '  - copy: --chmod=644 src/ /app/',
      'start: python3 -m http.server 8000',
      'ready: curl -sf localhost:8000',
      'user: app',
    ].join('\n')
    expect(readTemplateSpec(text, 'caisson-template.yaml')).toEqual({
      name: 'web',
      from: { runtime: 'base' },
      resources: { memory: '512Mi' },
      tags: ['v1', 'latest'],
      ignore: ['**/*.log'],
      user: 'app',
      steps: [
        { type: 'user', user: 'root' },
        { type: 'env', env: { A: '1.10' } },
        { type: 'run', command: 'apt-get update\napt-get install -y curl' },
        { type: 'copy', source: 'src/', target: '/app/', mode: 0o644 },
      ],
      startCommand: 'python3 -m http.server 8000',
      readyCommand: 'curl -sf localhost:8000',
    })
  })

  test('is as the manual shows it', async () => {
    const manual = join(import.meta.dirname, '../../../../docs/template-build.md')
    const [, shown = ''] = /```yaml\n([\s\S]*?)```/.exec(await readFile(manual, 'utf8')) ?? []
    const { name, steps } = readTemplateSpec(shown, 'caisson-template.yaml')
    expect([name, steps?.length]).toEqual(['site', 7])
  })

  test('tells all of its mistakes, with their lines', () => {
    const text = [
      'runtime: base',
      'image: alpine',
      'colour: red',
      'steps:',
      '  - bake: x',
      '  - run: a',
      '    copy: b',
      '  - env: 1',
      '  - just text',
    ].join('\n')
    const read = () => readTemplateSpec(text, 'f.yaml')
    for (const message of [
      /f\.yaml: version is missing/,
      /f\.yaml:2: image is too much beside runtime/,
      /f\.yaml:3: colour is no field/,
      /f\.yaml:5: steps\[0\] bake is not known/,
      /f\.yaml:6: steps\[1\] must be one name/,
      /f\.yaml:8: steps\[2\] env has "1"/,
      /f\.yaml:9: steps\[3\] must be one name/,
    ])
      expect(read).toThrow(message)
  })

  test('needs something to begin with', () => {
    expect(() => readTemplateSpec('version: 1', 'f.yaml')).toThrow(/needs one of runtime/)
  })
})

describe('is found', () => {
  async function folder(files: Record<string, string>): Promise<string> {
    const root = await mkdtemp(join(tmpdir(), 'caisson-Template_'))
    onTestFinished(() => rm(root, { recursive: true }))
    for (const [name, text] of Object.entries(files)) await writeFile(join(root, name), text)
    return root
  }

  test('in its directory, whose name is the template’s; what a Dockerfile ignores is ignored', async () => {
    const root = await folder({ Dockerfile: 'FROM a', '.dockerignore': '# no\n/node_modules\n\n!keep\n' })
    const { definition, directory } = await readTemplate(root)
    expect(directory).toBe(root)
    expect(definition.name).toMatch(/^caisson-template_[a-z0-9]+$/)
    expect(definition.ignore).toEqual(['/node_modules', '!keep'])
  })

  test('by its path, with another name', async () => {
    const root = await folder({ 'web.Dockerfile': 'FROM a', 'x.yaml': 'version: 1\nname: x\nruntime: base' })
    expect((await readTemplate(join(root, 'web.Dockerfile'), 'y')).definition).toMatchObject({ name: 'y' })
    expect((await readTemplate(join(root, 'x.yaml'))).definition).toMatchObject({ name: 'x' })
  })

  test('unless there is none, or more than one', async () => {
    await expect(readTemplate(await folder({}))).rejects.toThrow(/no Dockerfile/)
    const both = { Dockerfile: 'FROM a', 'caisson-template.yaml': 'version: 1' }
    await expect(readTemplate(await folder(both))).rejects.toThrow(/Name one/)
  })
})
