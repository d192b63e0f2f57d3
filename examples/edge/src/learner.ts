/** Learning from one sample at a time by SLTT, whose memory does not depend on the number of time steps. */
import { ProgramFile } from "@spikeroute/backend-kernels"
import { fromModule } from "@spikeroute/backend-wasm/edge"
import { defaultLoss, Key, Optimizer, Policy, Safetensors, Train } from "@spikeroute/core"
import { Effect, Scope } from "effect"
import type { Learnt } from "./storage.ts"

export interface Learner {
  /**
   * One step of gradient descent on one sample.
   *
   * @throws NonFiniteLossError if the loss or a gradient is not finite; nothing has changed. NonFiniteTensorError if a weight is no longer
   * finite; discard the learner
   */
  readonly learn: (sample: Float32Array, label: number) => Learnt & { readonly loss: number }
  /** The weights as a safetensors file. */
  readonly weights: () => Uint8Array<ArrayBuffer>
}

/** Of the isolate's 128 MB. */
const memory = { maximumBytes: 2 ** 26 }

/** A learner that continues from what was learnt, or starts from the weights of a program file. */
export const openLearner = (
  kernels: WebAssembly.Module,
  file: Uint8Array,
  learnt: Learnt | undefined,
  learningRate: number,
): Learner =>
  Effect.gen(function* () {
    const { graph, encoding, timeSteps, tensors } = yield* ProgramFile.read(file, "the program")
    const trainer = yield* Train.make(graph, Policy.sltt, {
      batchSize: 1,
      timeSteps,
      encoding,
      loss: defaultLoss,
      optimizer: Optimizer.sgd(),
      key: Key.make(0),
    })
    yield* learnt ? trainer.load(learnt.tensors) : trainer.loadParameters(tensors)
    let update = learnt?.update ?? 0
    const save = () => Effect.runSync(trainer.save)
    return {
      learn: (sample: Float32Array, label: number) => {
        const batch = { inputs: sample, labels: Float32Array.of(label) }
        const { loss } = Effect.runSync(trainer.step(batch, { update: update + 1, learningRate }))
        update++
        const tensors = save()
        return { loss, update, tensors }
      },
      weights: () => {
        return Safetensors.encode({
          tensors: Train.parametersOf(save()),
          metadata: { format: "spikeroute", update: String(update) },
        })
      },
    }
  }).pipe(Effect.provide(fromModule(kernels, memory)), Scope.provide(Scope.makeUnsafe()), Effect.runSync)
