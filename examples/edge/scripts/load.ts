/** Helpers for tests and benchmarks of a running worker: concurrent requests, and measurements of its process. */
import { readdirSync, readFileSync } from "node:fs"
import type { Host } from "./host.ts"

/**
 * A request with a sample, on a connection of its own: workerd closes connections that were idle for some seconds, and a client that reuses
 * one at that moment gets an error that has nothing to do with the worker.
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

/** Calls `work` for 0 … count − 1, at most `atOnce` at a time; returns the results in order. */
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
    // The process has ended in the meantime.
    return ""
  }
}

/** The workerd processes started by this process. Linux only. */
export const runtimes = (): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      const status = statusOf(name)
      return /^Name:\s*workerd$/m.test(status) && new RegExp(`^PPid:\\s*${process.pid}$`, "m").test(status)
    })
    .map(Number)

/** Memory of an isolate after garbage collection, in bytes. */
export interface IsolateMemory {
  /** JavaScript objects. */
  readonly heap: number
  /** Array buffers, except WebAssembly memory. */
  readonly buffers: number
}

/** Asks the worker's isolate through the inspector. The process's size says less, because the runtime collects garbage when it likes. */
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
  // The isolate collects garbage the next time it runs.
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

/** The largest resident size of a process (VmHWM), without the files that it maps now, in bytes. Linux only. */
export const peakMemory = (pid: number): number => bytesOf(pid, "VmHWM") - bytesOf(pid, "RssFile")

/** Processor time of a process in milliseconds, over all its threads; unaffected by other load. Linux only. */
export const processorTime = (pid: number): number =>
  readdirSync(`/proc/${pid}/task`).reduce((sum, thread) => {
    const [nanoseconds = "0"] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")
    return sum + Number(nanoseconds) / 1e6
  }, 0)
