/**
 * `npm run check`: what must hold before every commit, in under a minute: types, lint and format, layers, generated
 * files, unit tests. Every part runs, so one run names everything that is wrong.
 */
import { type Counts, report, runStep, runVitest, total } from './steps.ts'

export async function checkSources(): Promise<Counts[]> {
  return [
    await runStep('types', 'tsc', '-p', '.'),
    await runStep('lint and format', 'biome', 'check', '--error-on-warnings', '.'),
    await runStep('layers', 'node', 'scripts/check-layers.ts'),
    await runStep('generated files', 'node', 'scripts/gen.ts', '--check'),
  ]
}

if (import.meta.main) report(total([...(await checkSources()), await runVitest('unit')]))
