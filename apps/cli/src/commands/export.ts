/** `export`: the weights of a run as PyTorch names and lays them out. */
import { Program, PyTorch, Safetensors } from "@spikeroute/core"
import { Effect, Path } from "effect"
import { writeWhole } from "../files.ts"
import { type CheckpointName, load, open } from "../run-directory.ts"
import { print } from "../terminal.ts"

export interface ExportFlags {
  readonly directory: string
  readonly checkpoint: CheckpointName
  readonly format: "safetensors"
  readonly out: string | undefined
}

export const exportWeights = ({ directory, checkpoint: name, format, out }: ExportFlags) =>
  Effect.gen(function* () {
    const { graph, config } = yield* open(directory)
    const { file, tensors, position } = yield* load(directory, name)
    const prefix = Program.bufferNames.parameter("")
    const parameters = new Map(
      [...tensors]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
    )
    const state = yield* PyTorch.toStateDict(graph, parameters).pipe(Effect.mapError((error) => error.in(file)))
    const metadata = { format: "pt", model: config.model, dataset: config.dataset, epoch: String(position.epoch) }
    const target = out ?? (yield* Path.Path).join(directory, `weights.${format}`)
    yield* writeWhole(target, Safetensors.encode({ tensors: state, metadata }))
    yield* print(target)
  })
