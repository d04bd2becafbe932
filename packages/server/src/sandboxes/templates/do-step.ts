import type { BuildStep } from '@caisson/protocol/resources'
import { copyFiles } from './copy-files.ts'
import { pathIn, type StepState } from './step-state.ts'
import type { Workshop } from './workshop.ts'

/** Does what a step says to the files. */
export async function doStep(workshop: Workshop, step: BuildStep, state: StepState): Promise<void> {
  if (step.type === 'copy') await copyFiles(workshop, step, state)
  else if (step.type === 'run') await workshop.run(step.command, { ...state, user: step.user ?? state.user })
  else if (step.type === 'user') await workshop.makeUser(step.user)
  else if (step.type === 'workdir')
    await workshop.makeDirectory(await pathIn(workshop, step.path, state), state.user)
}
