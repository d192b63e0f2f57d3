/**
 * Reads HDF5 files with the HDF5 library in a child process. A damaged file can make the library loop forever, crash, or reject
 * valid files afterwards, and not every runtime can terminate a thread inside WebAssembly. After an error the process is
 * killed; after a valid file it stays alive briefly and can be reused.
 */
import type { ChildProcess } from "node:child_process"
import { Effect, type FileSystem } from "effect"
import { FileFailed, MalformedFile } from "../errors.ts"
import { readPart, sizeOf } from "../files/read.ts"
import { describeStart, kindOf } from "./bytes.ts"
import { fault, type Task } from "./hdf5-task.ts"

/** Seconds without output after which a read is considered hung. */
const patience = 5

/** Milliseconds for which an idle process waits for another file. */
const idle = 1000

/** A child process that reads files. */
export interface Reader {
  readonly child: ChildProcess
  /** Returns the next bytes of its output; rejects if the process ends before. */
  readonly take: (bytes: number) => Promise<Uint8Array<ArrayBuffer>>
  /** Number of bytes received so far. */
  readonly heard: () => number
  readonly kill: () => void
}

const startReader = async (): Promise<Reader> => {
  const { fork } = await import("node:child_process")
  const child = fork(new URL("./hdf5-process.ts", import.meta.url), { stdio: ["ignore", "pipe", "ignore", "ipc"] })
  const ended = new Promise<never>((_, reject) => {
    child.on("error", reject)
    child.once("exit", (code, signal) => reject(new Error(`its process ended with ${signal ?? code}`)))
  })
  ended.catch(() => {})
  const output = child.stdout as NonNullable<typeof child.stdout>
  const chunks: AsyncIterator<Uint8Array> = output[Symbol.asyncIterator]()
  let rest: Uint8Array = new Uint8Array()
  let heard = 0
  const take = async (bytes: number) => {
    const taken = new Uint8Array(bytes)
    for (let filled = 0; filled < bytes; ) {
      if (rest.length === 0) {
        const { done, value } = await chunks.next()
        if (done) return ended
        rest = value
        heard += rest.length
      }
      const part = rest.subarray(0, bytes - filled)
      taken.set(part, filled)
      filled += part.length
      rest = rest.subarray(part.length)
    }
    return taken
  }
  return { child, take, heard: () => heard, kill: () => void child.kill("SIGKILL") }
}

/** Unreferences the child, so that it keeps this process alive only while `silence` is waiting. */
const leave = ({ child }: Reader): void => {
  for (const each of [child, child.channel, child.stdout] as ReadonlyArray<object | null | undefined>)
    if (each && "unref" in each && typeof each.unref === "function") each.unref()
}

/** The idle process that last read a valid file. */
let waiting: { readonly reader: Reader; readonly timer: NodeJS.Timeout } | undefined

const acquire = async (): Promise<Reader> => {
  const found = waiting
  waiting = undefined
  clearTimeout(found?.timer)
  if (found?.reader.child.connected) return found.reader
  const reader = await startReader()
  try {
    await reader.take(1)
    leave(reader)
  } catch (error) {
    reader.kill()
    throw error
  }
  return reader
}

const release = (reader: Reader): void => {
  waiting?.reader.kill()
  clearTimeout(waiting?.timer)
  const timer = setTimeout(() => {
    waiting = undefined
    reader.kill()
  }, idle)
  timer.unref()
  waiting = { reader, timer }
}

/** Completes after too long without output. Seconds in which this thread was busy do not count. */
const silence = Effect.fnUntraced(function* ({ heard }: Reader) {
  for (let last = heard(), seconds = 0; seconds < patience; ) {
    yield* Effect.sleep("1 second")
    seconds = heard() === last ? seconds + 1 : 0
    last = heard()
  }
  return `the HDF5 library has not responded for ${patience} s; the file is probably corrupt`
})

/** Reads the next count, or the message that follows `fault`. */
export const countOf = async ({ take }: Reader): Promise<number | string> => {
  const u32 = async () => new Uint32Array((await take(4)).buffer)[0] as number
  const count = await u32()
  return count === fault ? new TextDecoder().decode(await take(await u32())) : count
}

type Told<T> = T extends unknown ? Omit<T, "file" | "bytes"> : never

/**
 * Reads one file in the child process. `receive` parses the output and returns a message if the file is malformed. HDF5 reports
 * no offsets, so errors name the file, the data set and the recording.
 */
export const readHdf5: <A extends object>(
  file: string,
  task: Told<Task>,
  receive: (reader: Reader) => Promise<A | string>,
) => Effect.Effect<A, MalformedFile | FileFailed, FileSystem.FileSystem> = Effect.fnUntraced(function* <
  A extends object,
>(file: string, task: Told<Task>, receive: (reader: Reader) => Promise<A | string>) {
  const bytes = yield* sizeOf(file)
  const start = yield* readPart(file, 0, Math.min(bytes, 64))
  const malformed = (problem: string) => new MalformedFile({ file, problem })
  if (kindOf(start) !== "an HDF5 file") return yield* malformed(`not an HDF5 file: it begins ${describeStart(start)}`)
  const reader = Effect.tryPromise({
    try: acquire,
    catch: (error) =>
      new FileFailed({ file, problem: `no process can be started that reads HDF5: ${(error as Error).message}` }),
  })
  return yield* Effect.acquireUseRelease(
    reader,
    (reader) => {
      reader.child.send({ file, bytes, ...task } as Task)
      const received = Effect.tryPromise({
        try: () => receive(reader),
        catch: (error) => malformed(`the HDF5 library fails with it: ${(error as Error).message}`),
      })
      return Effect.raceFirst(received, silence(reader)).pipe(
        Effect.flatMap((result) =>
          typeof result === "string" ? Effect.fail(malformed(result)) : Effect.succeed(result),
        ),
      )
    },
    (reader, exit) => Effect.sync(() => (exit._tag === "Success" ? release(reader) : reader.kill())),
  )
})
