/**
 * The test that every runtime runs: train 50 iterations, save, load and predict; then predict from a program file, without the compiler.
 * Hashes of the results show whether two runtimes are bit-identical. It uses only what all runtimes have.
 */
import { ProgramFile } from "@spikeroute/backend-kernels"
import { load } from "@spikeroute/backend-wasm/infer"
import * as S from "@spikeroute/core"
import { Effect, type Layer } from "effect"

export interface Report {
  readonly firstLoss: number
  readonly lastLoss: number
  /** SHA-256 of the file of all tensors, and of the read-outs of a predictor that loaded it. */
  readonly weights: string
  readonly predictions: string
  /** SHA-256 of the program file, of the read-outs of the model loaded from it, and of those with early exit. */
  readonly program: string
  readonly answers: string
  readonly early: string
  /** Mean time steps per sample with early exit. */
  readonly meanSteps: number
}

const hash = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> =>
  Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("")

const hashOf = (values: Float32Array): Promise<string> => hash(new Uint8Array(Float32Array.from(values).buffer))

const network = S.Graph.sequential(
  S.conv2d({ channels: 8, kernelSize: 3, padding: 1 }),
  S.batchNorm(),
  S.lif({ tau: 2 }),
  S.averagePool({ kernelSize: 2 }),
  S.flatten(),
  S.dropout(0.2),
  S.linear({ features: 16 }),
  S.plif({ surrogate: S.Surrogate.defaults.sigmoid }),
  S.linear({ features: 4 }),
)

const batchSize = 8
const timeSteps = 4

/** Noise, brighter in the quarter of the image that the label selects. */
const makeBatch = (): S.Train.Batch => {
  const inputs = S.Key.uniform(S.Key.make(2), new Float32Array(batchSize * 64))
  const labels = Float32Array.from({ length: batchSize }, (_, n) => n % 4)
  for (let n = 0; n < batchSize; n++) for (let i = 0; i < 16; i++) inputs[64 * n + 16 * (labels[n] as number) + i]! += 1
  return { inputs, labels }
}

/** Runs the test on a backend. The program file always runs on the compiled module `kernels`. */
export const run = async (
  layer: Layer.Layer<S.Backend, S.BackendUnavailableError | S.OptionError>,
  kernels: WebAssembly.Module,
): Promise<Report> => {
  const program = Effect.gen(function* () {
    const graph = yield* S.Graph.make([8, 8, 1], network)
    const trainer = yield* S.Train.make(graph, S.Policy.slttK(2), {
      batchSize,
      timeSteps,
      loss: S.defaultLoss,
      optimizer: S.Optimizer.adam(),
      key: S.Key.make(1),
    })
    const batch = makeBatch()
    const losses: Array<number> = []
    for (let update = 1; update <= 50; update++)
      losses.push((yield* trainer.step(batch, { update, learningRate: 0.01 })).loss)
    const file = S.Safetensors.encode({ tensors: yield* trainer.save, metadata: {} })

    const predictor = yield* S.Train.makePredictor(graph, { batchSize, timeSteps })
    yield* predictor.load((yield* S.Safetensors.decode(file, "weights.safetensors")).tensors)
    const { outputs } = yield* predictor.predict(batch.inputs)
    const saved = yield* ProgramFile.save(graph, yield* trainer.save, { batchSize, timeSteps })
    return { firstLoss: losses[0] as number, lastLoss: losses.at(-1) as number, file, outputs, saved, batch }
  })
  const { file, outputs, saved, batch, ...losses } = await Effect.runPromise(
    program.pipe(Effect.scoped, Effect.provide(layer)),
  )
  const model = load(kernels, saved)
  const early = model.predict(batch.inputs, { margin: 1 })
  return {
    ...losses,
    weights: await hash(file),
    predictions: await hashOf(outputs),
    program: await hash(saved),
    answers: await hashOf(model.predict(batch.inputs).outputs),
    early: await hashOf(early.outputs),
    meanSteps: early.meanSteps,
  }
}
