/** Threads: workers that share the module and its memory, and stay inside of WebAssembly until the engine is closed. */
import type { Instance } from "./engine.ts"

/** What a worker is told. */
export interface Assignment {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly thread: number
  /** The top of the thread's own stack. */
  readonly stack: number
}

const stackBytes = 131072

interface Thread {
  readonly ready: Promise<void>
  readonly end: () => void
}

/** Lets the process end while the worker waits for work, where the runtime asks. */
const leave = (worker: object): void => {
  if ("unref" in worker && typeof worker.unref === "function") worker.unref()
}

/** Starts a worker: those of the web where there are any, else Node's. */
const startWorker = async (assignment: Assignment): Promise<Thread> => {
  if (typeof Worker === "function") {
    // The address is written out where it is used: bundlers know a worker by that.
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" })
    const ready = new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve()
      worker.onerror = (event) => reject(new Error(event.message))
    })
    worker.postMessage(assignment)
    return { ready: ready.then(() => leave(worker)), end: () => worker.terminate() }
  }
  const threads = await import("node:worker_threads")
  const worker = new threads.Worker(new URL("./worker.ts", import.meta.url))
  const ready = new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve())
    worker.once("error", reject)
  })
  worker.postMessage(assignment)
  return { ready: ready.then(() => leave(worker)), end: () => void worker.terminate() }
}

/** Starts threads beside the caller's; gives what ends them. */
export const startThreads = async (
  { exports, memory, heap }: Instance,
  module: WebAssembly.Module,
  threads: number,
): Promise<() => void> => {
  const workers: Array<Thread> = []
  const end = () => {
    exports.pool_close?.()
    for (const worker of workers) worker.end()
  }
  try {
    for (let thread = 1; thread < threads; thread++) {
      const stack = heap.allocate(stackBytes)
      if (stack === undefined) throw new Error("there is no memory for a thread's stack")
      workers.push(await startWorker({ module, memory, thread, stack: stack + stackBytes }))
    }
    await Promise.all(workers.map(({ ready }) => ready))
    return end
  } catch (error) {
    end()
    throw error
  }
}
