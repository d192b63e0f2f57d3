/** `import`: creates a run before its first batch, from PyTorch weights or a NIR network. */
import { Graph, Program, type Safetensors, Shape, type Train } from "@spikeroute/core"
import { Effect, Path } from "effect"
import { loadWeights } from "../checkpoint.ts"
import * as Config from "../config.ts"
import { UsageError } from "../errors.ts"
import { checkFlags, type DiscretisationFlags, defined } from "../flags.ts"
import { nameOf } from "../modules.ts"
import { networkFor } from "../network.ts"
import { configured, sampleFor } from "../run.ts"
import * as RunDirectory from "../run-directory.ts"
import { dim, print } from "../terminal.ts"
import { beginning } from "../training.ts"

export interface ImportFlags {
  readonly file: string
  readonly config: string | undefined
  readonly out: string | undefined
  /** The discretisation of a NIR network. */
  readonly nir: DiscretisationFlags
  readonly settings: Readonly<Record<string, unknown>>
}

export const importWeights = ({ file, config: configFile, out, nir, settings }: ImportFlags) =>
  Effect.gen(function* () {
    yield* checkFlags("import", { config: configFile, out, ...nir })
    const discretisation = defined(nir)
    const [first] = Object.keys(discretisation)
    const isNir = file.endsWith(".nir")
    if (isNir && settings.model !== undefined)
      return yield* new UsageError({ reason: `${file} holds the network, too: leave --model out` })
    if (!isNir && first !== undefined) return yield* new UsageError({ reason: `--${first} is for .nir files` })
    const own = isNir
      ? { ...settings, dataset: settings.dataset ?? Config.noDataset, model: file, nir: discretisation }
      : settings
    const config = yield* configured(configFile, own)
    const sample = config.dataset === Config.noDataset ? undefined : yield* sampleFor(config)
    const { graph, tensors: weights } = yield* networkFor(config, sample)
    const policy = yield* Config.policyOf(config)
    const training = Config.trainingOptions(config, sample ?? { encoding: "frames" })
    const program = yield* Program.compile(graph, policy, training)

    const parameters =
      isNir && weights !== undefined ? weights : (yield* loadWeights(file, graph, config.preset)).tensors
    const tensors: Train.Tensors = new Map<string, Safetensors.StoredTensor>([
      ...parameters,
      // The optimiser state starts at zero.
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
        `${nameOf(config.model)}${sample === undefined ? "" : ` for ${nameOf(config.dataset)}`}: ${parameters.size} tensors, ${Graph.parameterCount(graph).toLocaleString("en")} parameters`,
        dim(path),
      ].join("\n"),
    )
  }).pipe(Effect.scoped)
