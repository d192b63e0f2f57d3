/** Threads: workers that share the module and its memory, and run inside WebAssembly until the engine is closed. */
import type { Instance } from "./engine.ts"

/** The message that starts a worker. */
export interface Assignment {
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly thread: number
  /** Address of the top of the thread's stack. */
  readonly stack: number
}

const stackBytes = 131072

interface Thread {
  readonly ready: Promise<void>
  readonly end: () => void
}

/** Lets the process exit while the worker waits, in runtimes that support it. */
const leave = (worker: object): void => {
  if ("unref" in worker && typeof worker.unref === "function") worker.unref()
}

/** Starts a Web Worker if the runtime has them, else a Node worker. */
const startWorker = async (assignment: Assignment): Promise<Thread> => {
  if (typeof Worker === "function") {
    // A literal expression, by which bundlers recognise a worker.
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

/** Starts the threads besides the caller's. Resolves to the function that ends them. */
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
