/** What tests and benchmarks do to a running worker: many requests at a time, and a look at its process. */
import { readdirSync, readFileSync } from "node:fs"

/** The body of a request: a sample. */
export const sampleRequest = (sample: Float32Array<ArrayBuffer>, token?: string): RequestInit => ({
  method: "POST",
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

/** Bytes that a process holds now, and has held at most: those of files that it maps, its own program among them, do not count. */
export const memoryOf = (pid: number): { readonly now: number; readonly peak: number } => {
  const status = statusOf(String(pid))
  const bytes = (name: string) => 1024 * Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, "m").exec(status)?.[1] ?? 0)
  return { now: bytes("RssAnon"), peak: bytes("VmHWM") - bytes("RssFile") }
}
