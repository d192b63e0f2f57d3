/**
 * The HDF5 files of the Heidelberg Digits (Cramer, Stradmann, Schemmel, Zenke, "The Heidelberg spiking data sets for
 * the systematic evaluation of spiking neural networks", 2020).
 *
 * | data set       | an entry for each recording                                               |
 * |----------------|---------------------------------------------------------------------------|
 * | `spikes/times` | the times of its spikes, in seconds: an array of any length, f2, f4 or f8 |
 * | `spikes/units` | the channels that spiked, 0 … 699: an array of the same length            |
 * | `labels`       | its class, 0 … 19                                                         |
 *
 * The HDF5 library reads them in a process of its own. A damaged file can make it loop for ever, crash, or refuse good
 * files afterwards, and not every runtime can end a thread that is inside of WebAssembly. After an error the process
 * is killed; after a good file the next one finds it still there, for a moment.
 */
import type { ChildProcess } from "node:child_process"
import { check, type OptionError, whole } from "@spikeroute/core/options"
import { Effect, type FileSystem, Schema } from "effect"
import { FileFailed, MalformedFile } from "../errors.ts"
import { readPart, sizeOf } from "../files/read.ts"
import { describeStart, kindOf } from "./bytes.ts"
import { channels, fault, type Task } from "./shd-task.ts"

export { channels }

const ClassesSchema = Schema.Struct({ classes: whole(1, 256) })

/** For how many seconds the library may say nothing of a file. */
const patience = 5

/** For how many milliseconds a process waits for another file. */
const idle = 1000

/** Recordings of spikes, each in order of time. */
export interface SpikeRecordings {
  /** Of each recording, in seconds. */
  readonly times: ReadonlyArray<Float32Array>
  readonly units: ReadonlyArray<Uint16Array>
  readonly labels: Uint8Array
}

/** A process that reads. */
interface Reader {
  readonly child: ChildProcess
  /** The next bytes of what it writes. It fails where it ends before. */
  readonly take: (bytes: number) => Promise<Uint8Array<ArrayBuffer>>
  /** How much it has written. */
  readonly heard: () => number
  readonly kill: () => void
}

const startReader = async (): Promise<Reader> => {
  const { fork } = await import("node:child_process")
  const child = fork(new URL("./shd-process.ts", import.meta.url), { stdio: ["ignore", "pipe", "ignore", "ipc"] })
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

/** What a reader writes of a file, or what is wrong with it. */
const receive = async ({ take }: Reader): Promise<SpikeRecordings | string> => {
  const u32 = async () => new Uint32Array((await take(4)).buffer)[0] as number
  const text = async () => new TextDecoder().decode(await take(await u32()))
  const count = await u32()
  if (count === fault) return text()
  const labels = await take(count)
  const times: Array<Float32Array> = []
  const units: Array<Uint16Array> = []
  while (times.length < count) {
    const spikes = await u32()
    if (spikes === fault) return text()
    times.push(new Float32Array((await take(4 * spikes)).buffer))
    units.push(new Uint16Array((await take(2 * spikes)).buffer))
  }
  return { times, units, labels }
}

/** Ends when nothing has been heard for too long. Seconds in which this thread was busy itself do not count. */
const silence = Effect.fnUntraced(function* ({ heard }: Reader) {
  for (let last = heard(), seconds = 0; seconds < patience; ) {
    yield* Effect.sleep("1 second")
    seconds = heard() === last ? seconds + 1 : 0
    last = heard()
  }
  return `it is corrupt: the HDF5 library has not come to an end with it for ${patience} s`
})

/**
 * Reads all recordings of one file, in another process. HDF5 gives no offsets: errors name the file, the data set and
 * the recording.
 */
export const readShd: (
  file: string,
  classes: number,
) => Effect.Effect<SpikeRecordings, MalformedFile | FileFailed | OptionError, FileSystem.FileSystem> =
  Effect.fnUntraced(function* (file: string, classes: number) {
    yield* check("readShd", ClassesSchema, { classes })
    const bytes = yield* sizeOf(file)
    const start = yield* readPart(file, 0, Math.min(bytes, 64))
    const malformed = (problem: string) => new MalformedFile({ file, problem })
    if (kindOf(start) !== "an HDF5 file")
      return yield* malformed(`it is no HDF5 file: it begins ${describeStart(start)}`)
    const reader = Effect.tryPromise({
      try: acquire,
      catch: (error) =>
        new FileFailed({ file, problem: `no process can be started that reads HDF5: ${(error as Error).message}` }),
    })
    return yield* Effect.acquireUseRelease(
      reader,
      (reader) => {
        reader.child.send({ file, bytes, classes } satisfies Task)
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
