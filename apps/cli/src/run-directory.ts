/**
 * A run directory holds all of a run:
 *
 *     config.json        the settings, resolved: a config file for the next run
 *     graph.json         the network
 *     metrics.jsonl      a line for each batch and each epoch; the same bits in every run of the same settings
 *     last.safetensors   parameters, statistics, the optimiser's state and, in the metadata, where the run stands
 *     last.json          where the run stands, for people
 *     best.*             the same after the epoch with the highest test accuracy
 *     summary.json       what came out, when the run is over
 *
 * A checkpoint is one file, so it is whole or not there. metrics.jsonl may run ahead of it; resuming cuts it back.
 */
import {
  type BackendError,
  Graph,
  type MismatchError,
  Program,
  PyTorch,
  Safetensors,
  type Train,
} from "@spikeroute/core"
import { Effect, FileSystem, Path, Schema } from "effect"
import { RunConfig } from "./config.ts"
import { UsageError } from "./errors.ts"
import { json, refused, writeWhole } from "./files.ts"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** Where a run stands. */
export const Position = Schema.Struct({
  /** Batches trained on in all, and in the epoch that is under way. */
  update: Count,
  batch: Count,
  /** Epochs that are over. */
  epoch: Count,
  /** Sums over the batches of the epoch under way. */
  sums: Schema.Struct({
    samples: Count,
    loss: Schema.Finite,
    top1: Count,
    top5: Count,
    firingRates: Schema.Array(Schema.Finite),
  }),
  /** The last epoch's accuracies, as shares; null before the first epoch is over. */
  trainAccuracy: Schema.NullOr(Schema.Finite),
  testAccuracy: Schema.NullOr(Schema.Finite),
  best: Schema.NullOr(Schema.Struct({ epoch: Count, testAccuracy: Schema.Finite })),
  /** Bytes of metrics.jsonl that belong to this position. */
  metricsBytes: Count,
})

export type Position = typeof Position.Type

export type CheckpointName = "last" | "best"

export interface Checkpoint {
  readonly position: Position
  readonly tensors: Train.Tensors
}

export interface RunDirectory {
  readonly path: string
  readonly config: RunConfig
  readonly graph: Graph.Graph
}

type Files = FileSystem.FileSystem | Path.Path

const inside = (directory: string, name: string): Effect.Effect<string, never, Path.Path> =>
  Effect.map(Path.Path, (path) => path.join(directory, name))

/** A directory's name for a run, if the person gives none. */
export const defaultDirectory = ({ dataset, model, policy }: RunConfig, now: Date): string => {
  const stamp = now.toISOString().slice(0, 19).replaceAll(":", "-").replace("T", "_")
  return `runs/${dataset}-${model}-${policy}-${stamp}`
}

/** Makes the directory of a new run. One that holds anything already is left alone. */
export const create = (directory: string): Effect.Effect<void, UsageError, Files> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    yield* fs.makeDirectory(directory, { recursive: true }).pipe(Effect.mapError(refused(directory, "written")))
    const found = yield* fs.readDirectory(directory).pipe(Effect.mapError(refused(directory, "read")))
    if (found.includes("config.json"))
      return yield* new UsageError({
        reason: `${directory} holds a run already: go on with it by --resume ${directory}, or give another --out`,
      })
    if (found.length > 0) return yield* new UsageError({ reason: `${directory} is not empty: give another --out` })
  })

/** Writes what does not change during a run. */
export const describe = ({ path, config, graph }: RunDirectory): Effect.Effect<void, UsageError, Files> =>
  Effect.gen(function* () {
    yield* writeWhole(yield* inside(path, "graph.json"), json(Graph.toJson(graph)))
    yield* writeWhole(yield* inside(path, "config.json"), json(config))
  })

const readJson = (file: string): Effect.Effect<unknown, UsageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* fs.readFileString(file).pipe(Effect.mapError(refused(file, "read")))
    return yield* Effect.try({
      try: () => JSON.parse(text) as unknown,
      catch: () => new UsageError({ reason: `${file} is not JSON` }),
    })
  })

/** Opens the directory of an earlier run. */
export const open = (directory: string): Effect.Effect<RunDirectory, UsageError, Files> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const configFile = yield* inside(directory, "config.json")
    if (!(yield* fs.exists(configFile).pipe(Effect.orElseSucceed(() => false))))
      return yield* new UsageError({ reason: `${directory} is no run directory: there is no ${configFile}` })
    const config = yield* Schema.decodeUnknownEffect(RunConfig)(yield* readJson(configFile)).pipe(
      Effect.mapError(
        ({ message }) => new UsageError({ reason: `${configFile}: ${message.replace(/\s*\n\s*/g, " ")}` }),
      ),
    )
    const graphFile = yield* inside(directory, "graph.json")
    const graph = yield* Graph.fromJson(yield* readJson(graphFile)).pipe(
      Effect.mapError(
        ({ message }) => new UsageError({ reason: `${graphFile}: ${message.replace(/\s*\n\s*/g, " ")}` }),
      ),
    )
    return { path: directory, config, graph }
  })

/** Writes a checkpoint, and beside it where the run stands. */
export const save = (
  directory: string,
  name: CheckpointName,
  { position, tensors }: Checkpoint,
): Effect.Effect<void, UsageError, Files> =>
  Effect.gen(function* () {
    const bytes = Safetensors.encode({ tensors, metadata: { position: JSON.stringify(position) } })
    yield* writeWhole(yield* inside(directory, `${name}.safetensors`), bytes)
    yield* writeWhole(yield* inside(directory, `${name}.json`), json(position))
  })

/** Reads a checkpoint. */
export const load = (directory: string, name: CheckpointName) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* inside(directory, `${name}.safetensors`)
    const bytes = yield* fs.readFile(file).pipe(Effect.mapError(refused(file, "read")))
    const { tensors, metadata } = yield* Safetensors.decode(bytes, file)
    const position = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Position))(metadata.position).pipe(
      Effect.mapError(
        () => new UsageError({ reason: `${file} is no checkpoint: its metadata do not say where the run stands` }),
      ),
    )
    return { file, position, tensors }
  })

/**
 * Weights to start from: those of a run's last checkpoint, or of a .safetensors file, which is a checkpoint of a run or a state
 * dict of PyTorch's.
 */
export const loadWeights = (from: string, graph: Graph.Graph) =>
  Effect.gen(function* () {
    if (!from.endsWith(".safetensors")) return yield* load(from, "last")
    const fs = yield* FileSystem.FileSystem
    const bytes = yield* fs.readFile(from).pipe(Effect.mapError(refused(from, "read")))
    const { tensors } = yield* Safetensors.decode(bytes, from)
    const ofRun = [...tensors.keys()].some((name) => name.startsWith(Program.bufferNames.parameter("")))
    if (ofRun) return { file: from, tensors }
    const parameters = yield* PyTorch.fromStateDict(graph, tensors).pipe(
      Effect.catchTag("MismatchError", (error) => Effect.fail(error.in(from))),
    )
    return {
      file: from,
      tensors: new Map([...parameters].map(([name, tensor]) => [Program.bufferNames.parameter(name), tensor])),
    }
  })

/** Puts a checkpoint's tensors into a network. Where they do not fit, the error names the file. */
export const restore = (
  { file, tensors }: { readonly file: string; readonly tensors: Train.Tensors },
  target: Pick<Train.Predictor, "load">,
): Effect.Effect<void, BackendError | MismatchError> =>
  Effect.catchTag(target.load(tensors), "MismatchError", (error) => Effect.fail(error.in(file)))

/** Appends lines to metrics.jsonl, after cutting it back to `bytes`. */
export const openMetrics = (directory: string, bytes: number) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const file = yield* inside(directory, "metrics.jsonl")
    const handle = yield* fs.open(file, { flag: "a" }).pipe(Effect.mapError(refused(file, "written")))
    yield* fs.truncate(file, bytes).pipe(Effect.mapError(refused(file, "written")))
    return {
      /** Gives the number of bytes appended. */
      append: (line: Readonly<Record<string, unknown>>): Effect.Effect<number, UsageError> => {
        const encoded = new TextEncoder().encode(`${JSON.stringify(line)}\n`)
        return Effect.as(Effect.mapError(handle.writeAll(encoded), refused(file, "written")), encoded.length)
      },
      sync: Effect.mapError(handle.sync, refused(file, "written")),
    }
  })

/** Writes what came out. */
export const summarize = (directory: string, summary: unknown): Effect.Effect<void, UsageError, Files> =>
  Effect.flatMap(inside(directory, "summary.json"), (file) => writeWhole(file, json(summary)))
