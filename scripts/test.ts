/** `npm test`: everything. The last line is "N passed, N failed", over sources, native code and all vitest projects. */
import { checkSources } from './check.ts'
import { report, runStep, runVitest, total } from './steps.ts'

const FUZZ_SECONDS = 20

report(
  total([
    ...(await checkSources()),
    // The agent's tests use the sanitizers' build where it is there.
    await runStep('agent with sanitizers', 'make', '-C', 'native', 'asan'),
    await runStep('fuzzing', 'make', '-C', 'native', 'test', `FUZZ_SECONDS=${FUZZ_SECONDS}`),
    await runVitest('unit'),
    await runVitest('e2e'),
  ]),
)
