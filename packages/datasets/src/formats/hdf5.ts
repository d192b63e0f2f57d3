/**
 * HDF5 files, read by the HDF5 library in a process of its own. A damaged file can make it loop for ever, crash, or refuse good
 * files afterwards, and not every runtime can end a thread that is inside of WebAssembly. After an error the process
 * is killed; after a good file the next one finds it still there, for a moment.
 */
import type { ChildProcess } from "node:child_process"
import { Effect, type FileSystem } from "effect"
import { FileFailed, MalformedFile } from "../errors.ts"
import { readPart, sizeOf } from "../files/read.ts"
import { describeStart, kindOf } from "./bytes.ts"
import { fault, type Task } from "./hdf5-task.ts"

/** For how many seconds the library may say nothing of a file. */
const patience = 5

/** For how many milliseconds a process waits for another file. */
const idle = 1000

/** A process that reads. */
export interface Reader {
  readonly child: ChildProcess
  /** The next bytes of what it writes. It fails where it ends before. */
  readonly take: (bytes: number) => Promise<Uint8Array<ArrayBuffer>>
  /** How much it has written. */
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

/** From now on a process keeps this one alive only while `silence` waits for it. */
const leave = ({ child }: Reader): void => {
  for (const each of [child, child.channel, child.stdout] as ReadonlyArray<object | null | undefined>)
    if (each && "unref" in each && typeof each.unref === "function") each.unref()
}

/** The process that has read a good file last, while it waits for another. */
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

/** Ends when nothing has been heard for too long. Seconds in which this thread was busy itself do not count. */
const silence = Effect.fnUntraced(function* ({ heard }: Reader) {
  for (let last = heard(), seconds = 0; seconds < patience; ) {
    yield* Effect.sleep("1 second")
    seconds = heard() === last ? seconds + 1 : 0
    last = heard()
  }
  return `the HDF5 library has not responded for ${patience} s; the file is probably corrupt`
})

/** The next number, of which `fault` stands for a text: what is wrong with the file. */
export const countOf = async ({ take }: Reader): Promise<number | string> => {
  const u32 = async () => new Uint32Array((await take(4)).buffer)[0] as number
  const count = await u32()
  return count === fault ? new TextDecoder().decode(await take(await u32())) : count
}

type Told<T> = T extends unknown ? Omit<T, "file" | "bytes"> : never

/**
 * Has the process read one file, and takes what it writes of it by `receive`, which gives a text where something is wrong. HDF5 gives no
 * offsets: errors name the file, the data set and the recording.
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
