/** Names that doc comment examples use without importing them: the library's own, and values to use them with. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { ProgramFile } from "@spikeroute/backend-kernels"
import { layer } from "@spikeroute/backend-reference"
import { fromModule } from "@spikeroute/backend-wasm/edge"
import { load } from "@spikeroute/backend-wasm/infer"
import * as Core from "@spikeroute/core"
import { flatten, Graph, Key, linear, PyTorch, Safetensors, Train } from "@spikeroute/core"
import * as Datasets from "@spikeroute/datasets"
import { Frames, ImageTransforms, makeShapes } from "@spikeroute/datasets"
import * as Distributed from "@spikeroute/distributed"
import * as Nir from "@spikeroute/nir"
import { Effect } from "effect"

export * as NodeServices from "@effect/platform-node/NodeServices"
export * as NodeWorkerRunner from "@effect/platform-node/NodeWorkerRunner"
export { Gpu } from "@spikeroute/backend-webgpu"
export {
  add,
  averagePool,
  concatenate,
  conv2d,
  currentBasedLif,
  delay,
  elementwise,
  Losses,
  LossSchema,
  lif,
  Neuron,
  Numpy,
  nearest,
  Optimizer,
  Options,
  Policy,
  Program,
  quote,
  recurrent,
  reshape,
  Steps,
  slice,
  transpose,
  upsample,
} from "@spikeroute/core"
export { Arbitrary, Conformance } from "@spikeroute/core/testing"
export { batches, compose, download, open, openInWorkers, serve } from "@spikeroute/datasets"
export { Layer, Stream } from "effect"
export * as FetchHttpClient from "effect/http/FetchHttpClient"
export * as fc from "fast-check"
export {
  Distributed,
  Effect,
  flatten,
  fromModule,
  Graph,
  Key,
  layer,
  linear,
  load,
  makeShapes,
  Nir,
  ProgramFile,
  PyTorch,
  Safetensors,
  Train,
}

export const { products, similarity } = Train
export const { frameTarget, framesByCount } = Frames
export const { framesOf } = Datasets.EventStream
export const { cutout, randomCrop, randomHorizontalFlip } = ImageTransforms
export type Events = Datasets.Events.Events

// Frames of a camera of 34 × 34 pixels, 8 of them, one sample at a time.
export const graph: Core.Graph.Graph = Graph.makeUnsafe(
  [34, 34, 2],
  Graph.sequential(flatten(), linear({ features: 10 })),
)
export const options: Parameters<typeof Train.make>[2] = {
  batchSize: 1,
  timeSteps: 8,
  encoding: "frames",
  loss: Core.defaultLoss,
  optimizer: Core.Optimizer.adam(),
  key: Key.make(1),
}
const initial = Effect.gen(function* () {
  const trainer = yield* Train.make(graph, Core.Policy.sltt, options)
  return yield* trainer.save
}).pipe(Effect.scoped, Effect.provide(layer))
const tensors = Effect.runSync(initial)
export const trainer = { save: initial }
export const bytes = Safetensors.encode({
  tensors: Effect.runSync(PyTorch.toStateDict(graph, Core.Train.parametersOf(tensors))),
  metadata: {},
})
export const file = Effect.runSync(ProgramFile.save(graph, tensors, { batchSize: 1, timeSteps: 8, encoding: "frames" }))
/** A file of `torch.save`. */
export const checkpoint = new Uint8Array(
  readFileSync(fileURLToPath(new URL("../../../../packages/core/test/torch/net.pth", import.meta.url))),
)
const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n"
/** A `.npy` file. */
export const array = Uint8Array.of(
  0x93,
  ...Buffer.from(`NUMPY\u0001\u0000${String.fromCharCode(header.length)}\u0000${header}`),
  ...new Uint8Array(8),
)
/** A network as NIR, and as its file. */
export const document: Nir.Document = Effect.runSync(Nir.documentOf({ graph, tensors }))
export const nirFile: Uint8Array = await Effect.runPromise(Nir.write(document))
export const kernels = new WebAssembly.Module(
  readFileSync(fileURLToPath(import.meta.resolve("@spikeroute/backend-wasm/spikeroute.wasm"))),
)
export const model = load(kernels, file)
export const frames = new Float32Array(8 * 34 * 34 * 2)
export const events: Events = {
  width: 34,
  height: 34,
  x: Uint16Array.of(3, 4),
  y: Uint16Array.of(10, 10),
  t: Float64Array.of(0, 25_000),
  p: Uint8Array.of(1, 0),
}
/** A camera that sends one packet. */
export const camera: AsyncIterable<Events> = (async function* () {
  yield events
})()
export const framing = { width: 34, height: 34, every: { duration: 10_000 } }
export const show = (_class: number | undefined): void => {}
export const dataset = makeShapes({ timeSteps: 8, train: 128, test: 64 })
export const [seed, epoch, batch] = [1, 2, 3]
/** What a batch of an epoch is handed to. */
export const train = (_batch: Datasets.Batch) => Effect.void
/** A test runner that runs the first of its tests. */
let ran = false
export const test = (_name: string, body: () => Promise<unknown>): void => {
  if (!ran) void body()
  ran = true
}
