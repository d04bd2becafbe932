/** Every place where a test can kill the server; the crash tests walk this list. */
export const FAILPOINTS = [
  'create:recorded',
  'create:prepared',
  'create:started',
  'create:connected',
  'create:acknowledged',
  'network:plugged',
  'network:recorded',
  'network:ruled',
  'exec:recorded',
  'exec:started',
  'exec:acknowledged',
  'exec:output',
  'exec:exited',
  'exec:ended',
  'pause:recorded',
  'pause:frozen',
  'pause:stopped',
  'pause:trimmed',
  'pause:paused',
  'dump:begun',
  'dump:written',
  'dump:ended',
  'resume:recorded',
  'resume:prepared',
  'resume:started',
  'resume:connected',
  'resume:resumed',
  'checkpoint:saved',
  'checkpoint:recorded',
  'restore:recorded',
  'restore:stopped',
  'restore:replaced',
  'restore:restored',
  'snapshot:saved',
  'snapshot:recorded',
  'snapshot:deleted',
  'fork:saved',
  'fork:dumped',
  'fork:created',
  'session:recorded',
  'layer:saved',
  'layer:recorded',
  'gc:removed',
  'delete:recorded',
  'delete:stopped',
  'delete:removed',
  'delete:ended',
] as const
export type Failpoint = (typeof FAILPOINTS)[number]

/** Dies by SIGKILL at the named place when the configuration asks for it (`CAISSON_FAILPOINT`), as a power loss would. */
export function createFailpoints(armed: Failpoint | null): (name: Failpoint) => void {
  if (armed === null) return () => {}
  return (name) => {
    if (name === armed) process.kill(process.pid, 'SIGKILL')
  }
}
