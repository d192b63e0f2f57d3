/** Formats of networks, weights and runs for `bun run fuzz:files`: a small valid folder and a reader for each. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { layer } from "@spikeroute/backend-reference"
import { load } from "@spikeroute/backend-wasm/infer"
import { type Backend, Graph, Key, Program, PyTorch, Safetensors, Shape, Train } from "@spikeroute/core"
import { Golden } from "@spikeroute/core/testing"
import { Effect, type FileSystem, Layer, type Path, type Scope } from "effect"
import * as Checkpoint from "../src/checkpoint.ts"
import { readConfigFile, resolve } from "../src/config.ts"
import { UsageError } from "../src/errors.ts"
import { layerOf } from "../src/network.ts"
import * as RunDirectory from "../src/run-directory.ts"
import { beginning } from "../src/training.ts"
import type { Format } from "./format.ts"

const services = Layer.mergeAll(NodeServices.layer, layer)

const run = <A, E>(effect: Effect.Effect<A, E, FileSystem.FileSystem | Path.Path | Backend | Scope.Scope>) =>
  Effect.runPromise(effect.pipe(Effect.scoped, Effect.provide(services)))

const configured = {
  ...resolve({
    dataset: "optdigits",
    model: "conv",
    width: 0.1,
    batchSize: 2,
    timeSteps: 2,
    k: 1,
    policy: "slttk",
    dataDir: "data",
  }),
  backend: "reference",
}

const graph = Graph.makeUnsafe([4, 4, 2], layerOf(configured, 3))
const tensors = new Map(
  [...Train.initialize(graph, Key.make(1))].map(([name, values]) => {
    const { shape } = graph.parameters.find((each) => each.name === name) as Graph.Parameter
    return [name, { shape, values }] as const
  }),
)

const finite = (values: Iterable<number>) => {
  for (const value of values) if (!Number.isFinite(value)) throw new Error(`a value is ${value}`)
}

/** Compiles a network that was read and, if it is small, runs a prediction. */
const predict = (graph: Graph.Graph, tensors?: Train.Tensors) =>
  Effect.gen(function* () {
    const options = { batchSize: 2, timeSteps: 2 } as const
    const program = yield* Program.compileInference(graph, options)
    if (program.arenaBytes > 2 ** 20) return
    const predictor = yield* Train.makePredictor(graph, options)
    if (tensors !== undefined) yield* predictor.load(tensors)
    const inputs = new Float32Array(2 * Shape.size(graph.input)).fill(0.5)
    const { outputs } = yield* predictor.predict(inputs)
    if (tensors !== undefined) finite(outputs)
  })

/** Corrects the header length, so that the header ends at the brace that closes its first one. */
const repairHeader = (bytes: Uint8Array): Uint8Array => {
  const text = Buffer.from(bytes.subarray(8)).toString("latin1")
  let depth = 0
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (token === "{") depth++
    if (token !== "}" || --depth > 0) continue
    new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setBigUint64(0, BigInt(index + 1), true)
    break
  }
  return bytes
}

const wasm = fileURLToPath(import.meta.resolve("@spikeroute/backend-wasm/spikeroute.wasm"))
const kernels = existsSync(wasm) ? new WebAssembly.Module(readFileSync(wasm)) : undefined

const goldenFile = new URL("../../../packages/core/test/golden/flattened-sltt.safetensors", import.meta.url)

const torchFiles = ["old", "kinds", "net"].map(
  (name) =>
    [`${name}.pth`, readFileSync(new URL(`../../../packages/core/test/torch/${name}.pth`, import.meta.url))] as const,
)

const json = (value: unknown) => JSON.stringify(value, undefined, 1)

const encodeAll = (tensors: Train.Tensors, metadata: Readonly<Record<string, string>> = {}) =>
  Safetensors.encode({ tensors, metadata })

export const formats: ReadonlyArray<Format> = [
  {
    name: "safetensors",
    files: { "weights.safetensors": encodeAll(Effect.runSync(PyTorch.toStateDict(graph, tensors)), { format: "pt" }) },
    repair: repairHeader,
    read: (directory) =>
      run(
        Effect.gen(function* () {
          const file = join(directory, "weights.safetensors")
          yield* predict(graph, (yield* Checkpoint.loadWeights(file, graph)).tensors)
        }),
      ),
  },
  {
    name: "torch",
    files: Object.fromEntries(torchFiles),
    read: (directory) =>
      run(
        Effect.gen(function* () {
          for (const [name] of torchFiles)
            for (const { shape, values, unsupported } of (yield* Checkpoint.readTensors(
              join(directory, name),
            )).tensors.values())
              if (unsupported === undefined && values.length !== Shape.size(shape))
                throw new Error(`${name}: a tensor of another length`)
        }),
      ),
  },
  {
    name: "golden",
    files: { "golden.safetensors": readFileSync(goldenFile) },
    repair: repairHeader,
    read: (directory) =>
      run(
        Effect.gen(function* () {
          const bytes = readFileSync(join(directory, "golden.safetensors"))
          yield* Golden.verify(yield* Safetensors.decode(bytes, "golden.safetensors"), "golden.safetensors")
        }),
      ),
  },
  {
    name: "graph",
    files: { "graph.json": json(Graph.toJson(graph)) },
    read: (directory) =>
      run(
        Effect.gen(function* () {
          const form = yield* Effect.try({
            try: (): unknown => JSON.parse(readFileSync(join(directory, "graph.json"), "utf8")),
            catch: () => new UsageError({ reason: "not JSON" }),
          })
          yield* predict(yield* Graph.fromJson(form))
        }),
      ),
  },
  {
    name: "config",
    files: { "config.json": json(configured) },
    read: (directory) => run(Effect.asVoid(Effect.map(readConfigFile(join(directory, "config.json")), resolve))),
  },
  {
    name: "run",
    files: {
      "config.json": json(configured),
      "graph.json": json(Graph.toJson(graph)),
      "last.safetensors": encodeAll(tensors, { position: JSON.stringify(beginning) }),
    },
    changed: ["last.safetensors", "last.safetensors", "config.json", "graph.json"],
    repair: (bytes) => (bytes[0] === 0x7b ? bytes : repairHeader(bytes)),
    read: (directory) =>
      run(
        Effect.gen(function* () {
          const { graph } = yield* RunDirectory.open(directory)
          const { tensors } = yield* Checkpoint.load(directory, "last")
          yield* predict(graph, tensors)
        }),
      ),
  },
  {
    name: "program",
    files: {
      "program.safetensors": Effect.runSync(
        ProgramFile.save(graph, tensors, { batchSize: 1, timeSteps: 2, encoding: "static" }),
      ),
    },
    repair: repairHeader,
    read: async (directory) => {
      const bytes = new Uint8Array(readFileSync(join(directory, "program.safetensors")))
      const source = await run(Effect.result(ProgramFile.read(bytes, "program.safetensors")))
      if (kernels !== undefined) {
        const model = load(kernels, bytes)
        const size = Shape.size(model.shape) * model.batchSize * (model.encoding === "frames" ? model.timeSteps : 1)
        if (model.timeSteps <= 64) finite(model.predict(new Float32Array(size).fill(0.5)).outputs)
      }
      if (source._tag === "Failure") throw source.failure
      await run(predict(source.success.graph, source.success.tensors))
    },
  },
]
