import type { BuildFrom, BuildStep } from '@caisson/protocol/resources'
import { z } from 'zod'
import { invalid } from '../errors.ts'

/** A step as clients send it; what is sent besides is for their own use. */
export const Step = z.object({
  type: z.string().max(64),
  args: z.array(z.string()).max(4096).nullish(),
  filesHash: z.string().nullish(),
  force: z.boolean().nullish(),
})
export type Step = z.output<typeof Step>

/** Images that clients build on unasked, and the runtimes that do what is expected of them. */
const IMAGES: Readonly<Record<string, string>> = {
  'e2bdev/base': 'e2b-base:latest',
  'e2bdev/code-interpreter': 'code-interpreter:v1',
  'ghcr.io/moru-ai/base': 'e2b-base:latest',
  'ghcr.io/moru-ai/code-interpreter': 'code-interpreter:v1',
}

/** What images of Docker's own registry may be written with. */
const DOCKER_HUB = /^(?:(?:index\.)?docker\.io\/)?(?:library\/)?/

/**
 * What a build on this image begins with.
 * @param isRuntime whether there is a runtime of this name here
 */
export async function fromImage(
  image: string,
  isRuntime: (name: string) => Promise<boolean>,
): Promise<BuildFrom> {
  const short = image.replace(DOCKER_HUB, '')
  const known = IMAGES[short.replace(/:latest$/, '')]
  if (known !== undefined) return { runtime: known }
  const name = short.includes(':') ? short : `${short}:latest`
  if (!short.includes('/') && !short.includes('@') && (await isRuntime(name))) return { runtime: name }
  return { image }
}

/** @throws SandboxError `invalid_request` that names the step */
export function toStep(step: Step, at: number): BuildStep {
  const path = `steps[${at}]`
  const translate = Object.hasOwn(TYPES, step.type) ? TYPES[step.type] : undefined
  if (translate === undefined)
    throw invalid(`${path}.type`, `${JSON.stringify(step.type)} is none of ${Object.keys(TYPES).join(', ')}`)
  const made = translate(step.args ?? [], path, step)
  return step.force ? { ...made, force: true } : made
}

const TYPES: Readonly<Record<string, (args: string[], path: string, step: Step) => BuildStep>> = {
  COPY: (args, path, { filesHash }) => {
    const [source, target, user, mode] = expect(args, path, 2, 4)
    if (!filesHash) throw invalid(`${path}.filesHash`, 'is missing: which uploaded files are copied')
    return {
      type: 'copy',
      files: filesHash,
      source: source as string,
      target: target as string,
      ...(user && { user }),
      ...(mode && { mode: octal(mode, path) }),
    }
  },
  RUN: (args, path) => {
    const [command, user] = expect(args, path, 1, 2)
    return { type: 'run', command: command as string, ...(user && { user }) }
  },
  ENV: (args, path) => {
    if (args.length % 2 !== 0) throw invalid(`${path}.args`, 'must be names, each with its value after it')
    const pairs = args.flatMap((name, at) => (at % 2 === 0 ? [[name, args[at + 1] as string]] : []))
    return { type: 'env', env: Object.fromEntries(pairs) }
  },
  WORKDIR: (args, path) => ({ type: 'workdir', path: expect(args, path, 1, 1)[0] as string }),
  USER: (args, path) => ({ type: 'user', user: expect(args, path, 1, 1)[0] as string }),
}

function expect(args: string[], path: string, min: number, max: number): string[] {
  const enough = args.length >= min && args.length <= max && args.slice(0, min).every((arg) => arg !== '')
  if (enough) return args
  throw invalid(
    `${path}.args`,
    `must be ${min === max ? min : `${min} to ${max}`} texts, of which the first ${min} are not empty`,
  )
}

function octal(text: string, path: string): number {
  if (!/^[0-7]{1,5}$/.test(text))
    throw invalid(`${path}.args[3]`, 'must be a mode in octal digits, such as "0755"')
  return Number.parseInt(text, 8)
}
