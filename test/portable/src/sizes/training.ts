/** Training: a network, the compiler, a trainer and a weight file. */
import { fromModule } from "@spikeroute/backend-wasm/edge"
import * as S from "@spikeroute/core"
import { Effect } from "effect"

const network = S.Graph.sequential(
  S.conv2d({ channels: 8, kernelSize: 3 }),
  S.batchNorm(),
  S.lif({ tau: 2 }),
  S.flatten(),
  S.linear({ features: 10 }),
)

export const train = (kernels: WebAssembly.Module, batches: ReadonlyArray<S.Train.Batch>): Promise<Uint8Array> =>
  Effect.gen(function* () {
    const graph = yield* S.Graph.make([28, 28, 1], network)
    const trainer = yield* S.Train.make(graph, S.Policy.sltt, {
      batchSize: 32,
      timeSteps: 4,
      loss: S.defaultLoss,
      optimizer: S.Optimizer.adam(),
      key: S.Key.make(1),
    })
    for (const [i, batch] of batches.entries()) yield* trainer.step(batch, { update: i + 1, learningRate: 0.01 })
    return S.Safetensors.encode({ tensors: yield* trainer.save, metadata: {} })
  }).pipe(Effect.scoped, Effect.provide(fromModule(kernels)), Effect.runPromise)
