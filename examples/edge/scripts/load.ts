/** What tests and benchmarks do to a running worker: many requests at a time, and a look at its process. */
import { readdirSync, readFileSync } from "node:fs"
import type { Host } from "./host.ts"

/**
 * A request with a sample. It has a connection of its own: workerd closes those that are idle for some seconds, and a client that is
 * about to use one again sees an error that is none of the worker's.
 */
export const sampleRequest = (sample: Float32Array<ArrayBuffer>, token?: string): RequestInit => ({
  method: "POST",
  keepalive: false,
  body: sample,
  headers: {
    "content-type": "application/octet-stream",
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  },
})

/** Calls `work` for 0 … count − 1, so many at a time; the results in order. */
export const many = async <A>(
  count: number,
  atOnce: number,
  work: (index: number) => Promise<A>,
): Promise<Array<A>> => {
  const results: Array<A> = []
  let next = 0
  const worker = async () => {
    while (next < count) {
      const index = next++
      results[index] = await work(index)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}

const statusOf = (process: string): string => {
  try {
    return readFileSync(`/proc/${process}/status`, "utf8")
  } catch {
    // It has ended meanwhile.
    return ""
  }
}

/** The workerd processes that this process started. Only Linux says. */
export const runtimes = (): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      const status = statusOf(name)
      return /^Name:\s*workerd$/m.test(status) && new RegExp(`^PPid:\\s*${process.pid}$`, "m").test(status)
    })
    .map(Number)

/** What an isolate holds after a collection of its garbage, in bytes. */
export interface IsolateMemory {
  /** Objects of JavaScript. */
  readonly heap: number
  /** Array buffers, but for the memory of WebAssembly. */
  readonly buffers: number
}

/** Asks the worker's isolate, over the protocol of its inspector. The process says less: the runtime collects when it likes. */
export const isolateMemory = async ({ url, inspector }: Host): Promise<IsolateMemory> => {
  const socket = new WebSocket(new URL("/core:user:worker", inspector))
  const answers = new Map<number, (result: { usedSize: number; backingStorageSize: number }) => void>()
  const opened = Promise.withResolvers<void>()
  socket.onopen = () => opened.resolve()
  socket.onerror = () => opened.reject(new Error("the inspector does not answer"))
  socket.onmessage = ({ data }) => {
    const { id, result } = JSON.parse(String(data))
    answers.get(id)?.(result)
  }
  const call = (id: number, method: string) => {
    const answered = new Promise<{ usedSize: number; backingStorageSize: number }>((resolve) =>
      answers.set(id, resolve),
    )
    socket.send(JSON.stringify({ id, method }))
    return answered
  }
  await opened.promise
  let collected = false
  call(1, "HeapProfiler.collectGarbage").then(() => {
    collected = true
  })
  // The isolate collects the next time that it runs.
  while (!collected) {
    await (await fetch(url)).text()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { usedSize, backingStorageSize } = await call(2, "Runtime.getHeapUsage")
  socket.close()
  return { heap: usedSize, buffers: backingStorageSize }
}

const bytesOf = (pid: number, name: string): number =>
  1024 * Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(statusOf(String(pid)))?.[1] ?? 0)

/** The most that a process has held (VmHWM), but for the files that it maps now. Only Linux says. */
export const peakMemory = (pid: number): number => bytesOf(pid, "VmHWM") - bytesOf(pid, "RssFile")

/** Milliseconds for which a process has had a processor, on all its threads: what else the machine does, does not count. Only Linux says. */
export const processorTime = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [nanoseconds = "0"] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")
    return sum + Number(nanoseconds) / 1e6
  }, 0)
