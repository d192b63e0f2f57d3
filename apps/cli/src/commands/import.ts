/** `import`: a run that stands before its first batch, with the weights that PyTorch trained. */
import { Graph, Program, PyTorch, Shape, type Train } from "@spikeroute/core"
import { Effect, Path } from "effect"
import { readTensors } from "../checkpoint.ts"
import * as Config from "../config.ts"
import { checkFlags } from "../flags.ts"
import { configured, sampleFor } from "../run.ts"
import * as RunDirectory from "../run-directory.ts"
import { dim, print } from "../terminal.ts"
import { beginning } from "../training.ts"

export interface ImportFlags {
  readonly file: string
  readonly config: string | undefined
  readonly out: string | undefined
  readonly settings: Readonly<Record<string, unknown>>
}

export const importWeights = ({ file, config: configFile, out, settings }: ImportFlags) =>
  Effect.gen(function* () {
    yield* checkFlags("import", { config: configFile, out })
    const config = yield* configured(configFile, settings)
    const sample = yield* sampleFor(config)
    const graph = yield* Graph.make(sample.shape, Config.networkOf(config, sample.classes))
    const policy = yield* Config.policyOf(config)
    const training = Config.trainingOptions(config, sample)
    const program = yield* Program.compile(graph, policy, training)

    const stored = yield* readTensors(file)
    const parameters = yield* PyTorch.fromStateDict(graph, stored.tensors).pipe(
      Effect.catchTag("MismatchError", (error) => Effect.fail(error.in(file))),
    )
    const tensors: Train.Tensors = new Map([
      ...[...parameters].map(([name, tensor]) => [Program.bufferNames.parameter(name), tensor] as const),
      // The optimiser has seen nothing yet.
      ...program.buffers
        .filter(({ role }) => role === "optimizer")
        .flatMap(({ role, owner = "", shape: whole }) =>
          training.optimizer.states.map((part, _, { length }) => {
            const shape = length > 1 ? whole.slice(1) : whole
            const values = new Float32Array(Shape.size(shape))
            return [Program.nameOf({ role, owner, part }), { shape, values }] as const
          }),
        ),
    ])

    const path = (yield* Path.Path).resolve(out ?? RunDirectory.defaultDirectory(config, new Date()))
    yield* RunDirectory.create({ path, config, graph }, { position: beginning, tensors })
    yield* print(
      [
        `${config.model} for ${config.dataset}: ${parameters.size} tensors, ${Graph.parameterCount(graph).toLocaleString("en")} parameters`,
        dim(path),
      ].join("\n"),
    )
  }).pipe(Effect.scoped)
