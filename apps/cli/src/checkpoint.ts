/**
 * Checkpoints: safetensors files with parameters, statistics and optimiser state; the metadata holds the training position. A
 * checkpoint is a single file, so it is written completely or not at all.
 */
import {
  type BackendError,
  ensureFinite,
  fit,
  type Graph,
  type MismatchError,
  Options,
  PyTorch,
  Safetensors,
  Train,
} from "@spikeroute/core"
import { Effect, FileSystem, Path, Schema } from "effect"
import { UsageError } from "./errors.ts"
import { readBytes, refused, writeWhole } from "./files.ts"
import { type PresetName, withPreset } from "./presets.ts"
import { say } from "./terminal.ts"

const Count = Options.whole(0, Number.MAX_SAFE_INTEGER)

/** The training position of a run. */
export const Position = Schema.Struct({
  /** Number of trained batches: in total, and in the current epoch. */
  update: Count,
  batch: Count,
  /** Number of completed epochs. */
  epoch: Count,
  /** Sums over the batches of the current epoch. */
  sums: Schema.Struct({
    samples: Count,
    loss: Schema.Finite,
    top1: Count,
    top5: Count,
    firingRates: Schema.Array(Schema.Finite),
  }),
  /** Accuracies after the last completed epoch, from 0 to 1; null during the first epoch, or if the targets define none. */
  trainAccuracy: Schema.NullOr(Schema.Finite),
  testAccuracy: Schema.NullOr(Schema.Finite),
  /** Mean squared error, for numeric targets. */
  testError: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
  best: Schema.NullOr(
    Schema.Struct({
      epoch: Count,
      testAccuracy: Schema.NullOr(Schema.Finite),
      testError: Schema.optionalKey(Schema.NullOr(Schema.Finite)),
    }),
  ),
  /** Length of metrics.jsonl at this position, in bytes. */
  metricsBytes: Count,
})

export type Position = typeof Position.Type

export type CheckpointName = "last" | "best"

export interface Checkpoint {
  readonly position: Position
  readonly tensors: Train.Tensors
}

const fileOf = (directory: string, name: CheckpointName): Effect.Effect<string, never, Path.Path> =>
  Effect.map(Path.Path, (path) => path.join(directory, `${name}.safetensors`))

/** Reads the tensors of a safetensors or `torch.save` file. Fails if any value is not finite. */
export const readTensors = (file: string) =>
  Effect.gen(function* () {
    const bytes = yield* readBytes(file)
    const stored = PyTorch.isTorchFile(bytes)
      ? { tensors: yield* PyTorch.decode(bytes, file), metadata: {} as Safetensors.TensorFile["metadata"] }
      : yield* Safetensors.decode(bytes, file)
    yield* Effect.mapError(
      ensureFinite(stored.tensors),
      ({ message }) => new UsageError({ reason: `${file}: ${message}` }),
    )
    return stored
  })

export const save = (directory: string, name: CheckpointName, { position, tensors }: Checkpoint) =>
  Effect.gen(function* () {
    const bytes = Safetensors.encode({
      tensors,
      metadata: { format: "spikeroute", position: JSON.stringify(position) },
    })
    yield* writeWhole(yield* fileOf(directory, name), bytes)
  })

export const load = (directory: string, name: CheckpointName) =>
  Effect.gen(function* () {
    const file = yield* fileOf(directory, name)
    const { tensors, metadata } = yield* readTensors(file)
    const position = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Position))(metadata.position).pipe(
      Effect.mapError(
        () => new UsageError({ reason: `${file} is not a checkpoint: its metadata has no training position` }),
      ),
    )
    // Earlier versions stored parameters under their buffer names.
    const renewed = new Map(Array.from(tensors, ([name, tensor]) => [name.replace(/^parameter\//, ""), tensor]))
    return { file, position, tensors: renewed }
  })

/** Whether tensors have this library's layout (checkpoint, program file, a trainer's `save`) rather than PyTorch's. */
const isOurs = (tensors: Train.Tensors, { position, format }: Safetensors.TensorFile["metadata"]): boolean =>
  position !== undefined ||
  format?.startsWith("spikeroute") === true ||
  [...tensors.keys()].some((name) => /^(parameter|optimizer)\//.test(name))

/** Renames a state dict's tensors to those of the network. Neurons keep the network's settings; the file's settings are reported. */
const byPreset = (tensors: Train.Tensors, graph: Graph.Graph, preset: PresetName | undefined) =>
  Effect.gen(function* () {
    if (preset === undefined) return tensors
    const named = withPreset(preset, tensors, graph)
    const settings = named.leftOut.map(([name, { values }]) => (values.length === 1 ? `${name} = ${values[0]}` : name))
    if (settings.length > 0)
      yield* say(
        `neurons have the settings of the network here; those of the file were left out: ${settings.join(", ")}`,
      )
    return named.tensors
  })

/** Initial weights: from a run's last checkpoint, or from a file (a checkpoint, a program file or a PyTorch state dict). */
export const loadWeights = (from: string, graph: Graph.Graph, preset?: PresetName) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const { type } = yield* fs.stat(from).pipe(Effect.mapError(refused(from, "read")))
    if (type === "Directory") return yield* load(from, "last")
    const { tensors, metadata } = yield* readTensors(from)
    if (isOurs(tensors, metadata)) {
      const own = [...tensors].filter(([name]) => name !== "program")
      return { file: from, tensors: Train.parametersOf(new Map(own)) }
    }
    const parameters = yield* PyTorch.fromStateDict(graph, yield* byPreset(tensors, graph, preset)).pipe(
      Effect.catchTag("MismatchError", (error) => Effect.fail(error.in(from))),
    )
    return { file: from, tensors: parameters }
  })

/** Loads a checkpoint's tensors into a network. If they do not match it, the error names the file. */
export const restore = (
  { file, tensors }: { readonly file: string; readonly tensors: Train.Tensors },
  target: Pick<Train.Predictor, "load">,
): Effect.Effect<void, BackendError | MismatchError> =>
  Effect.catchTag(target.load(tensors), "MismatchError", (error) => Effect.fail(error.in(file)))

/** Fails if a checkpoint's parameters do not match those of a network. */
export const checkFits = (
  checkpoint: { readonly file: string; readonly tensors: Train.Tensors },
  { parameters }: Graph.Graph,
): Effect.Effect<void, BackendError | MismatchError> => {
  const expected = new Map(parameters.map(({ name, shape }) => [name, shape]))
  const load = (tensors: Train.Tensors) => Effect.asVoid(fit(expected, Train.parametersOf(tensors)))
  return restore(checkpoint, { load })
}
