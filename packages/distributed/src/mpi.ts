/**
 * Communication over MPI between processes started by `mpirun` or a scheduler.
 *
 * Messages are non-blocking, so timers and signals are served meanwhile. MPI ends with the process: after a failure it also terminates the
 * other processes, which would wait for this one. If a process is killed, the launcher terminates the others.
 */
import process from "node:process"
import { Effect, Layer } from "effect"
import { Communicator, CommunicatorError, type CommunicatorService, checkRows } from "./communicator.ts"
import { launched } from "./launched.ts"
import { type Library, library } from "./library.ts"

/** Duration of one poll of MPI, in seconds. */
const turn = 0.002

const textOf = (read: (out: Uint8Array, room: number) => number): string => {
  const out = new Uint8Array(8192)
  return new TextDecoder().decode(out.subarray(0, read(out, out.length)))
}

const noMemory = -2

const refuse = (kind: CommunicatorError["kind"], reason: string) => Effect.fail(new CommunicatorError({ kind, reason }))

/** Fails if a library function returned an error code. */
const checked = ({ functions }: Library, code: number): Effect.Effect<number, CommunicatorError> => {
  if (code >= 0) return Effect.succeed(code)
  if (code === noMemory)
    return refuse("memory", "what is exchanged does not fit into memory, or has over 2^31 − 1 elements")
  return refuse("lost", `MPI failed: ${textOf(functions.failure)}`)
}

/** Name and version from the library's version string, such as `Open MPI v4.1.4`. */
const titleOf = (version: string): string =>
  (version.split(/[\n,]/)[0] ?? "").replace(/^MPICH Version:\s*/, "MPICH ").trim()

const serviceOf = (found: Library, description: string, neighbours: number): CommunicatorService => {
  const { functions, view } = found
  const rank = functions.rank()
  const size = functions.size()
  /** Waits for the current operation. */
  const finished = Effect.gen(function* () {
    while ((yield* checked(found, functions.progress(turn))) === 0)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
  })
  return {
    description,
    rank,
    size,
    neighbours,
    reduction: (length, count) =>
      Effect.gen(function* () {
        yield* checkRows(length, count)
        const number = yield* Effect.acquireRelease(
          Effect.suspend(() => checked(found, functions.open(length, count))),
          (number) => Effect.sync(() => functions.close(number)),
        )
        const memory = length === 0 ? new ArrayBuffer(0) : view(functions.rows(number), 4 * length * count)
        const rows = Array.from({ length: count }, (_, i) => new Float32Array(memory, 4 * length * i, length))
        const sum = Effect.suspend(() => checked(found, functions.sum(number))).pipe(
          Effect.andThen(finished),
          Effect.as(rows[0] as Float32Array),
        )
        return { rows, sum }
      }),
    gather: (bytes) =>
      Effect.gen(function* () {
        // In some runtimes an empty array has no address.
        const given = bytes.length === 0 ? new Uint8Array(1) : bytes
        yield* checked(found, functions.gather(given, bytes.length))
        yield* finished
        const lengths = Array.from({ length: size }, (_, r) => Number(functions.gathered_from(r)))
        const total = lengths.reduce((sum, length) => sum + length, 0)
        const all = new Uint8Array(view(functions.gathered(), Math.max(total, 1)))
        let end = 0
        return lengths.map((length) => {
          end += length
          return all.slice(end - length, end)
        })
      }),
  }
}

let isStarted = false

const start = Effect.gen(function* () {
  const told = launched()
  const found = yield* library
  const { functions } = found
  yield* checked(found, functions.start())
  const version = textOf(functions.version)
  const description = titleOf(version)
  if (told === undefined && functions.size() === 1)
    return yield* refuse("launcher", "this process was not started by mpirun: start it as `mpirun -n 4 …`")
  if (told !== undefined && told !== functions.size())
    return yield* refuse(
      "launcher",
      `the launcher started ${told} processes, but ${description} knows of ${functions.size()}: mpirun and mpicc belong to different implementations of MPI; set MPICC to the compiler of mpirun's`,
    )
  if (!isStarted)
    process.on("exit", (code) => {
      if (code === 0) functions.finish()
      else functions.abort(code)
    })
  isStarted = true
  const service = serviceOf(found, description, yield* checked(found, functions.neighbours()))
  const versions = (yield* service.gather(new TextEncoder().encode(version))).map((each) =>
    titleOf(new TextDecoder().decode(each)),
  )
  const other = versions.findIndex((each) => each !== versions[0])
  if (other > 0)
    return yield* refuse(
      "versions",
      `rank 0 runs ${versions[0]}, rank ${other} ${versions[other]}: install one version everywhere`,
    )
  return service
})

/** The processes started by `mpirun`. Fails if MPI is missing or the process was not started by its launcher. */
export const mpi: Layer.Layer<Communicator, CommunicatorError> = /* @__PURE__ */ Layer.effect(Communicator, start)
