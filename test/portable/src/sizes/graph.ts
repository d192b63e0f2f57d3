/** Inference from a graph: the compiler, a predictor and a weight file, without training code. */
import { fromModule } from "@spikeroute/backend-wasm/edge"
import * as S from "@spikeroute/core/infer"
import { Effect } from "effect"

const network = S.Graph.sequential(
  S.conv2d({ channels: 8, kernelSize: 3 }),
  S.batchNorm(),
  S.lif({ tau: 2 }),
  S.flatten(),
  S.linear({ features: 10 }),
)

export const outputsOf = (
  kernels: WebAssembly.Module,
  weights: Uint8Array,
  sample: Float32Array,
): Promise<Float32Array> =>
  Effect.gen(function* () {
    const graph = yield* S.Graph.make([28, 28, 1], network)
    const predictor = yield* S.makePredictor(graph, { batchSize: 1, timeSteps: 4 })
    yield* predictor.load((yield* S.Safetensors.decode(weights, "the weights")).tensors)
    return (yield* predictor.predict(sample)).outputs
  }).pipe(Effect.scoped, Effect.provide(fromModule(kernels)), Effect.runPromise)
