/**
 * A run directory contains everything about a run:
 *
 *     config.json        the resolved settings; can be used as a config file
 *     graph.json         the network
 *     metrics.jsonl      one line per batch and per epoch; bit-identical for identical settings
 *     last.safetensors   the last checkpoint: see checkpoint.ts
 *     best.safetensors   the checkpoint after the epoch with the highest test accuracy, or the lowest test error
 *     summary.json       the results, once the run is complete
 *     .lock              locked by the training process
 *
 * config.json is written last, so a directory with a config.json contains a complete set of files. metrics.jsonl may be ahead of the
 * checkpoint; resuming truncates it.
 */
import { Graph, Options } from "@spikeroute/core"
import { Effect, FileSystem, Option, Path, Schema } from "effect"
import { type Checkpoint, save } from "./checkpoint.ts"
import { RunConfig } from "./config.ts"
import { UsageError } from "./errors.ts"
import { isTaken, json, readJson, refused, sizeOf, writeWhole } from "./files.ts"
import { lock, lockName } from "./lock.ts"
import { isPath, nameOf } from "./modules.ts"
import { networkFor } from "./network.ts"
import { shellQuote } from "./terminal.ts"

export interface RunDirectory {
  readonly path: string
  readonly config: RunConfig
  readonly graph: Graph.Graph
}

type Files = FileSystem.FileSystem | Path.Path

const inside = (directory: string, name: string): Effect.Effect<string, never, Path.Path> =>
  Effect.map(Path.Path, (path) => path.join(directory, name))

/** The default directory of a run. */
export const defaultDirectory = ({ dataset, model, policy }: RunConfig, now: Date): string => {
  const stamp = now.toISOString().slice(0, 19).replaceAll(":", "-").replace("T", "_")
  const [data, network] = [dataset, model].map((setting) => nameOf(setting).replace(/\.\w+$/, ""))
  return `runs/${data}-${network}-${policy}-${stamp}`
}

/** Whether a file may be left from a run that was killed while its directory was created, before config.json was written. */
const isLeftover = (name: string) =>
  [lockName, "graph.json", "metrics.jsonl", "last.safetensors"].includes(name) || name.endsWith(".part")

/** Fails if a new run cannot use a directory because it contains a run or other files. */
export const checkFree = (directory: string): Effect.Effect<void, UsageError, Files> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    if (!(yield* isTaken(directory))) return
    const unfit = () =>
      new UsageError({ reason: `${directory} exists and is not a readable directory: give another --out` })
    const found = yield* fs.readDirectory(directory).pipe(Effect.mapError(unfit))
    if (found.includes("config.json"))
      return yield* new UsageError({
        reason: `${directory} already holds a run: continue it with --resume ${shellQuote(directory)}, or give another --out`,
      })
    if (!(found.length === 0 || (found.includes(lockName) && found.every(isLeftover))))
      return yield* new UsageError({ reason: `${directory} is not empty: give another --out` })
  })

/**
 * Creates the directory of a new run with its initial checkpoint, and locks it until the scope ends. It is removed again if the scope
 * fails before anything was recorded.
 */
export const create = ({ path: directory, config, graph }: RunDirectory, checkpoint: Checkpoint) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    yield* checkFree(directory)
    const isNew = !(yield* isTaken(directory))
    yield* fs.makeDirectory(directory, { recursive: true }).pipe(Effect.mapError(refused(directory, "written")))
    yield* lock(directory)
    yield* checkFree(directory)
    const metrics = yield* inside(directory, "metrics.jsonl")
    const remove = (file: string) => Effect.ignore(fs.remove(file, { recursive: true, force: true }))
    const clear = Effect.gen(function* () {
      const names = yield* Effect.orElseSucceed(fs.readDirectory(directory), () => [])
      for (const name of names)
        if (name !== lockName && (isLeftover(name) || name === "config.json"))
          yield* remove(yield* inside(directory, name))
    })
    yield* Effect.addFinalizer((exit) =>
      Effect.gen(function* () {
        const recorded = yield* Effect.orElseSucceed(sizeOf(metrics), () => 0)
        if (exit._tag !== "Failure" || recorded > 0) return
        yield* clear
        yield* remove(isNew ? directory : yield* inside(directory, lockName))
      }),
    )
    yield* clear
    yield* writeWhole(yield* inside(directory, "graph.json"), json(Graph.toJson(graph)))
    yield* writeWhole(metrics, "")
    yield* save(directory, "last", checkpoint)
    yield* writeConfig(directory, config)
  })

const writeConfig = (directory: string, config: RunConfig) =>
  Effect.flatMap(inside(directory, "config.json"), (file) => writeWhole(file, json(config)))

/** Opens the directory of an existing run. */
export const open = (directory: string) =>
  Effect.gen(function* () {
    const configFile = yield* inside(directory, "config.json")
    if (!(yield* isTaken(configFile)))
      return yield* new UsageError({ reason: `${directory} is not a run directory: there is no ${configFile}` })
    const config = yield* Options.check(configFile, RunConfig, yield* readJson(configFile))
    const graphFile = yield* inside(directory, "graph.json")
    const graph = yield* Graph.fromJson(yield* readJson(graphFile)).pipe(
      Effect.mapError(({ message }) => new UsageError({ reason: `${graphFile}: ${message}` })),
    )
    // Network files are loaded only when training is resumed: see checkNetwork.
    if (!isPath(config.model)) yield* checkNetwork({ path: directory, config, graph })
    return { path: directory, config, graph } satisfies RunDirectory
  })

/** Fails if the settings now describe a different network from that of the run. A network file that no longer exists is ignored. */
export const checkNetwork = ({ path: directory, config, graph }: RunDirectory) =>
  Effect.gen(function* () {
    if (isPath(config.model) && !(yield* isTaken(config.model))) return
    const difference = yield* differenceTo(config, graph)
    if (difference === undefined) return
    const [configFile, graphFile] = [yield* inside(directory, "config.json"), yield* inside(directory, "graph.json")]
    return yield* new UsageError({
      reason: `${configFile} describes a different network (${config.model}) from ${graphFile}: they differ at ${difference}; restore the file that was changed`,
    })
  })

/** The first parameter or node in which the network of the settings differs from a graph; `undefined` if they are equal. */
const differenceTo = (config: RunConfig, graph: Graph.Graph) =>
  Effect.gen(function* () {
    const classes = graph.types.get(graph.output)?.shape.at(-1) ?? 0
    const network = networkFor(config, { shape: graph.input, classes })
    const described = yield* isPath(config.model) ? Effect.asSome(network) : Effect.option(network)
    if (Option.isNone(described)) return `the model ${config.model}, which cannot have this input`
    const parts = ({ parameters, nodes }: Graph.Graph) =>
      new Map([
        ...parameters.map(({ name, shape, role }) => [name, JSON.stringify([shape, role])] as const),
        ...nodes.map(({ name, op, attributes, inputs }) => [name, JSON.stringify([op, attributes, inputs])] as const),
      ])
    const [ours, theirs] = [parts(graph), parts(described.value.graph)]
    return [...theirs.keys(), ...ours.keys()].find((name) => ours.get(name) !== theirs.get(name))
  })

/** Updates the directory of a run that is continued: writes the new settings and removes summary.json. */
export const change = ({ path: directory, config }: RunDirectory): Effect.Effect<void, UsageError, Files> =>
  Effect.gen(function* () {
    yield* writeConfig(directory, config)
    const summary = yield* inside(directory, "summary.json")
    const fs = yield* FileSystem.FileSystem
    yield* fs.remove(summary, { force: true }).pipe(Effect.mapError(refused(summary, "written")))
  })

/** Opens metrics.jsonl for appending; its first `bytes` bytes belong to the checkpoint. */
export const openMetrics = (directory: string, bytes: number) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* inside(directory, "metrics.jsonl")
    const size = yield* sizeOf(file, { followLinks: false })
    if (size < bytes)
      return yield* new UsageError({
        reason: `${file} has ${size} bytes, but ${bytes} were written before the last checkpoint: restore the file, or start a new run with --init ${shellQuote(directory)}`,
      })
    const failed = refused(file, "written")
    const handle = yield* fs.open(file, { flag: "a" }).pipe(Effect.mapError(failed))
    return {
      /** Removes the lines written after the checkpoint. */
      cut: Effect.mapError(handle.truncate(bytes), failed),
      /** Returns the number of bytes appended. */
      append: (line: Readonly<Record<string, unknown>>): Effect.Effect<number, UsageError> => {
        const encoded = new TextEncoder().encode(`${JSON.stringify(line)}\n`)
        return Effect.as(Effect.mapError(handle.writeAll(encoded), failed), encoded.length)
      },
      sync: Effect.mapError(handle.sync, failed),
    }
  })

/** Stands in for `openMetrics` in processes that write nothing. */
export const noMetrics = { cut: Effect.void, append: () => Effect.succeed(0), sync: Effect.void } as const

const Share = Schema.NullOr(Options.Share)

/** Contents of summary.json. */
export const Summary = Schema.Struct({
  testAccuracy: Share,
  trainAccuracy: Share,
  bestTestAccuracy: Share,
  bestEpoch: Schema.NullOr(Schema.Int),
  testTop5: Share,
  /** Mean squared errors, for numeric targets. */
  testError: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  bestTestError: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  firingRates: Schema.NullOr(Schema.Record(Schema.String, Schema.Finite)),
  epochs: Schema.Int,
  updates: Schema.Int,
  /** Throughput of the process that completed the run; null if it trained no batch. */
  samplesPerSecond: Schema.NullOr(Schema.Finite),
  seconds: Schema.Finite,
  peakBytes: Schema.Finite,
  plannedBytes: Schema.Finite,
  parameters: Schema.Int,
  dataset: Schema.String,
  model: Schema.String,
  policy: Schema.String,
  k: Schema.NullOr(Schema.Int),
  timeSteps: Schema.Int,
  batchSize: Schema.Int,
  backend: Schema.String,
  seed: Schema.Int,
})

export type Summary = typeof Summary.Type

/** Writes summary.json. */
export const summarize = (directory: string, summary: Summary): Effect.Effect<void, UsageError, Files> =>
  Effect.flatMap(inside(directory, "summary.json"), (file) => writeWhole(file, json(summary)))

/** The results of a completed run; `undefined` before it is complete. */
export const readSummary = (directory: string) =>
  Effect.gen(function* () {
    const file = yield* inside(directory, "summary.json")
    return (yield* isTaken(file)) ? yield* Options.check(file, Summary, yield* readJson(file)) : undefined
  })
