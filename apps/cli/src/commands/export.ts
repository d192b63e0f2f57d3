/** `export`: the weights of a run as PyTorch names and lays them out, or a program file that runs without the compiler. */
import { ProgramFile } from "@spikeroute/backend-kernels"
import { type Graph, Program, PyTorch, Safetensors, type Train } from "@spikeroute/core"
import { datasets } from "@spikeroute/datasets"
import { Effect, Path } from "effect"
import { load } from "../checkpoint.ts"
import type { RunConfig } from "../config.ts"
import { UsageError } from "../errors.ts"
import { isTaken, writeWhole } from "../files.ts"
import { checkFlags } from "../flags.ts"
import { open } from "../run-directory.ts"
import { print } from "../terminal.ts"

export interface ExportFlags {
  readonly directory: string
  readonly checkpoint: string
  readonly format: string
  readonly out: string | undefined
  /** What a program file is compiled for. Default: one sample, the time steps of the run. */
  readonly batchSize: number | undefined
  readonly timeSteps: number | undefined
}

interface Exported {
  readonly graph: Graph.Graph
  readonly config: RunConfig
  readonly tensors: Train.Tensors
  readonly epoch: number
}

/** A state dict for PyTorch. */
const stateDict = ({ graph, config, tensors, epoch }: Exported) =>
  Effect.gen(function* () {
    const parameters = new Map(
      [...tensors].flatMap(([name, tensor]) => {
        const parameter = Program.parameterOf(name)
        return parameter === undefined ? [] : [[parameter, tensor] as const]
      }),
    )
    const state = yield* PyTorch.toStateDict(graph, parameters)
    const metadata = { format: "pt", model: config.model, dataset: config.dataset, epoch: String(epoch) }
    return Safetensors.encode({ tensors: state, metadata })
  })

export const exportWeights = ({ directory, ...given }: ExportFlags) =>
  Effect.gen(function* () {
    const { checkpoint, format, out, batchSize, timeSteps } = yield* checkFlags("export", given)
    if (format === "safetensors" && (batchSize ?? timeSteps) !== undefined)
      return yield* new UsageError({ reason: "--batch-size and --time-steps need --format program" })
    if (out !== undefined && (yield* isTaken(out)))
      return yield* new UsageError({ reason: `${out} already exists: remove it, or give another --out` })
    const { graph, config } = yield* open(directory)
    const { file, tensors, position } = yield* load(directory, checkpoint)
    const program = ProgramFile.save(graph, tensors, {
      batchSize: batchSize ?? 1,
      timeSteps: timeSteps ?? config.timeSteps,
      encoding: config.encoding ?? datasets[config.dataset]?.sample?.encoding ?? "frames",
    })
    const weights = stateDict({ graph, config, tensors, epoch: position.epoch })
    const bytes = yield* Effect.gen(function* () {
      return yield* format === "program" ? program : weights
    }).pipe(Effect.catchTag("MismatchError", (error) => Effect.fail(error.in(file))))
    const name = format === "program" ? "program.safetensors" : "weights.safetensors"
    const target = out ?? (yield* Path.Path).join(directory, name)
    yield* writeWhole(target, bytes)
    yield* print(target)
  })
