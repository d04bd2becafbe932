const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const FRAME_MS = 80
/** Work that is done sooner shows nothing. */
const PATIENCE_MS = 400

/** Shows on a terminal that something takes its time; stops, and leaves no trace, when the work settles. */
export async function withProgress<T>(text: string, work: Promise<T>): Promise<T> {
  if (!process.stderr.isTTY) return work
  const began = Date.now()
  let frame = 0
  let shown = false
  const timer = setInterval(() => {
    if (Date.now() - began < PATIENCE_MS) return
    shown = true
    process.stderr.write(`\r${FRAMES[frame++ % FRAMES.length]} ${text} `)
  }, FRAME_MS)
  try {
    return await work
  } finally {
    clearInterval(timer)
    if (shown) process.stderr.write('\r\x1b[K')
  }
}
