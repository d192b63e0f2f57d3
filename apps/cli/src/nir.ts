/** Reads NIR files, each in a separate process, and verifies backends against them. */
import { fork } from "node:child_process"
import { Numpy } from "@spikeroute/core"
import * as Nir from "@spikeroute/nir"
import { type Discretisation, type Document, NirError, type NirNode } from "@spikeroute/nir"
import { Effect, FileSystem, Path, Schema } from "effect"
import { UsageError } from "./errors.ts"
import { readBytes, readJson } from "./files.ts"

/** Timeout for reading a file, in seconds. */
const patience = 60

type Answer = { readonly document: Document } | { readonly node: string; readonly reason: string }

/** Reads the document of a NIR file. */
export const readNir = (file: string) =>
  Effect.gen(function* () {
    // Reports a missing or non-regular file in the same way as other readers.
    yield* readBytes(file)
    const fail = (reason: string) => new NirError({ file, node: "", reason })
    const answer = yield* Effect.callback<Answer, NirError>((resume) => {
      const child = fork(new URL("./nir-process.ts", import.meta.url), {
        stdio: ["ignore", "ignore", "ignore", "ipc"],
        serialization: "advanced",
      })
      child.on("message", (message) => resume(Effect.succeed(message as Answer)))
      child.on("error", ({ message }) => resume(Effect.fail(fail(`the reader process did not start (${message})`))))
      child.on("exit", () => resume(Effect.fail(fail("the HDF5 library crashed on it; it is corrupt"))))
      child.send(file)
      return Effect.sync(() => child.kill("SIGKILL"))
    }).pipe(
      Effect.timeoutOrElse({
        duration: `${patience} seconds`,
        orElse: () => Effect.fail(fail(`not read within ${patience} seconds; the file is probably corrupt`)),
      }),
    )
    return "document" in answer ? answer.document : yield* new NirError({ file, ...answer })
  })

/** A discretisation as stored in discretisation.json, beside the golden files of other frameworks. */
const Row = Schema.Struct({
  dt: Schema.Finite,
  scheme: Schema.Literals(["euler", "exact"]),
  reset: Schema.Literals(["value", "subtract"]),
  compare: Schema.Literals(["gt", "ge"]),
  syn: Schema.Literals(["nir", "jump"]),
  start: Schema.Literals(["zero", "leak", "reset"]),
})
const Rows = Schema.Record(Schema.String, Schema.Struct({ matches: Schema.Array(Schema.Unknown) }))

/** The discretisation that reproduces a framework's output from its file; `"none"` if NIR cannot express its neurons. */
const discretisationOf = (file: string) =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const fs = yield* FileSystem.FileSystem
    const table = path.join(path.dirname(file), "discretisation.json")
    if (!(yield* fs.exists(table).pipe(Effect.orElseSucceed(() => false)))) return undefined
    const malformed = () => new UsageError({ reason: `${table} does not give a discretisation for every file` })
    const rows = yield* Schema.decodeUnknownEffect(Rows)(yield* readJson(table)).pipe(Effect.mapError(malformed))
    const row = rows[path.basename(file, ".nir")]
    if (row === undefined) return undefined
    const [match] = row.matches
    if (match === undefined) return "none" as const
    const { dt, scheme, reset, compare, syn, start } = yield* Schema.decodeUnknownEffect(Row)(match).pipe(
      Effect.mapError(malformed),
    )
    return {
      ...{ dt, scheme, reset, start },
      compare: compare === "gt" ? "greater" : "atLeast",
      synapse: syn === "nir" ? "filter" : "jump",
    } satisfies Discretisation
  })

/** Maps a framework's arrays to nodes: `output`, and `spikes_N` for layer N. */
const nodesOf = ({ node }: Document, arrays: ReadonlyMap<string, Numpy.NumpyArray>) => {
  const paths = [...(node.nodes ?? new Map<string, NirNode>())]
  const find = (test: (name: string, type: string) => boolean) =>
    paths.find(([name, { type }]) => test(name, type))?.[0]
  return new Map(
    [...arrays].flatMap(([name, array]) => {
      const layer = name.match(/^spikes_(\d+)$/)?.[1]
      const path =
        name === "output"
          ? find((_, type) => type === "Output")
          : layer === undefined
            ? undefined
            : find((each) => each === layer || each === `_${layer}`)
      return path === undefined ? [] : [[path, array] as const]
    }),
  )
}

/** Compares a backend with the values in the `.npz` file beside a `.nir` file. */
export const verifyNir = (file: string) =>
  Effect.gen(function* () {
    const document = yield* readNir(file)
    const values = file.replace(/nir$/, "npz")
    const arrays = yield* Numpy.decodeArchive(yield* readBytes(values), values)
    const input = arrays.get("input")
    if (input === undefined) return yield* new UsageError({ reason: `${values} has no array "input"` })
    const own = yield* discretisationOf(file)
    if (own === "none")
      return { out: 0, spikesMismatched: 0, passed: true, refused: "NIR cannot say how its neurons reset" }
    const of = (scheme: "euler" | "exact") =>
      new Map(
        [...arrays].flatMap(([name, array]) =>
          name.startsWith(`${scheme}:`) ? [[name.slice(scheme.length + 1), array] as const] : [],
        ),
      )
    const runs: ReadonlyArray<readonly [ReadonlyMap<string, Numpy.NumpyArray>, Discretisation]> =
      own === undefined
        ? [
            [of("euler"), { scheme: "euler" }],
            [of("exact"), { scheme: "exact" }],
          ]
        : [[nodesOf(document, arrays), own]]
    const compared = runs.filter(([expected]) => expected.size > 0)
    const errors = yield* Effect.forEach(compared.length > 0 ? compared : runs, ([expected, how]) =>
      Nir.verify(document, input, expected, how),
    )
    return {
      out: Math.max(...errors.map(({ values }) => values)),
      spikesMismatched: errors.reduce((sum, each) => sum + each.spikesMismatched, 0),
      passed: errors.every(Nir.passes),
    }
  })
