/** `export`: writes the weights of a run for PyTorch, a program file that runs without the compiler, or the network as NIR. */
import { ProgramFile } from "@spikeroute/backend-kernels"
import { type Graph, PyTorch, Safetensors, Train } from "@spikeroute/core"
import * as Nir from "@spikeroute/nir"
import { Effect, Path } from "effect"
import { load } from "../checkpoint.ts"
import { noDataset, type RunConfig } from "../config.ts"
import { UsageError } from "../errors.ts"
import { isTaken, writeWhole } from "../files.ts"
import { checkFlags, type DiscretisationFlags, defined } from "../flags.ts"
import { sampleFor } from "../run.ts"
import { open } from "../run-directory.ts"
import { print } from "../terminal.ts"

export interface ExportFlags {
  readonly directory: string
  readonly checkpoint: string
  readonly format: string
  readonly out: string | undefined
  /** Batch size and time steps of a program file. Default: one sample, the time steps of the run. */
  readonly batchSize: number | undefined
  readonly timeSteps: number | undefined
  /** The discretisation of the NIR file's readers. Default: that of the run. */
  readonly nir: DiscretisationFlags
}

interface Exported {
  readonly graph: Graph.Graph
  readonly config: RunConfig
  readonly tensors: Train.Tensors
  readonly epoch: number
}

const stateDict = ({ graph, config, tensors, epoch }: Exported) =>
  Effect.gen(function* () {
    const state = yield* PyTorch.toStateDict(graph, Train.parametersOf(tensors))
    const metadata = { format: "pt", model: config.model, dataset: config.dataset, epoch: String(epoch) }
    return Safetensors.encode({ tensors: state, metadata })
  })

const programFile = ({ graph, config, tensors }: Exported, { batchSize = 1, timeSteps = config.timeSteps }) =>
  Effect.gen(function* () {
    // A run without a data set was imported from NIR, which takes one frame per step.
    const encoding = config.dataset === noDataset ? "frames" : (yield* sampleFor(config)).encoding
    return yield* ProgramFile.save(graph, tensors, { batchSize, timeSteps, encoding })
  })

const nirFile = ({ graph, config, tensors }: Exported, discretisation: Nir.Discretisation) =>
  Effect.flatMap(Nir.documentOf({ graph, tensors }, { ...config.nir, ...discretisation }), Nir.write)

const fileNames = { safetensors: "weights.safetensors", program: "program.safetensors", nir: "network.nir" }

export const exportWeights = ({ directory, nir, ...flags }: ExportFlags) =>
  Effect.gen(function* () {
    const { checkpoint, format, out, ...given } = yield* checkFlags("export", { ...flags, ...nir })
    const { batchSize, timeSteps } = given
    const discretisation = defined(nir) as Nir.Discretisation
    if (format !== "program" && (batchSize ?? timeSteps) !== undefined)
      return yield* new UsageError({ reason: "--batch-size and --time-steps need --format program" })
    if (format !== "nir" && Object.keys(discretisation).length > 0)
      return yield* new UsageError({ reason: `--${Object.keys(discretisation)[0]} needs --format nir` })
    if (out !== undefined && (yield* isTaken(out)))
      return yield* new UsageError({ reason: `${out} already exists: remove it, or give another --out` })
    const { graph, config } = yield* open(directory)
    const { file, tensors, position } = yield* load(directory, checkpoint)
    const exported = { graph, config, tensors, epoch: position.epoch }
    const bytes = yield* Effect.gen(function* () {
      if (format === "safetensors") return yield* stateDict(exported)
      return yield* format === "program"
        ? programFile(exported, defined({ batchSize, timeSteps }))
        : nirFile(exported, discretisation)
    }).pipe(Effect.catchTag("MismatchError", (error) => Effect.fail(error.in(file))))
    const target = out ?? (yield* Path.Path).join(directory, fileNames[format])
    yield* writeWhole(target, bytes)
    yield* print(target)
  })
