/**
 * Regression with real-valued targets at every time step. A spiking network follows the moving average of a signal, and the average's
 * slope. The input are spikes of neurons that each respond to their own range of values.
 */
import { layer } from "@spikeroute/backend-reference"
import * as S from "@spikeroute/core"
import { Effect } from "effect"

const [timeSteps, batchSize, channels] = [40, 16, 16]

/** Frames [T, N, channels] and targets [T, N, 2]: a signal's running mean, and its change from step to step. */
const signals = (seed: number) => {
  const draw = S.Key.uniform(S.Key.make(seed), new Float32Array(4 * batchSize))
  const inputs = new Float32Array(timeSteps * batchSize * channels)
  const targets = new Float32Array(timeSteps * batchSize * 2)
  for (let n = 0; n < batchSize; n++) {
    const [fast, slow, phase, share] = draw.subarray(4 * n, 4 * n + 4) as unknown as [number, number, number, number]
    let mean = 0
    for (let t = 0; t < timeSteps; t++) {
      const value =
        share * Math.sin((0.3 + 0.2 * fast) * t + 6 * phase) + (1 - share) * Math.sin((0.05 + 0.1 * slow) * t)
      const before = mean
      mean = 0.8 * mean + 0.2 * value
      const at = t * batchSize + n
      for (let c = 0; c < channels; c++) {
        const preferred = (2 * c) / (channels - 1) - 1
        inputs[at * channels + c] = Math.abs(value - preferred) < 0.2 ? 1 : 0
      }
      targets[2 * at] = mean
      targets[2 * at + 1] = 5 * (mean - before)
    }
  }
  return { inputs, targets }
}

const network = S.Graph.sequential(
  S.linear({ features: 64 }),
  S.adaptiveLif({ decay: 0.8, adaptationDecay: 0.9, strength: 0.05 }),
  S.linear({ features: 2 }),
  S.leakyReadout({ tau: 4 }),
)

/** A custom loss, the squared error with large errors damped: log(1 + (y − target)²/s)·s. */
const cauchy = S.Losses.own((output, target) => {
  const error = output.minus(target)
  return S.Neuron.log(error.times(error).dividedBy(0.5).plus(1)).times(0.5)
})

const losses = { "squared error": S.Losses.meanSquaredError(), "own term": cauchy }

const program = Effect.gen(function* () {
  const graph = yield* S.Graph.make([channels], network)
  const options = { batchSize, timeSteps, encoding: "frames" } as const
  for (const [name, loss] of Object.entries(losses)) {
    const trainer = yield* S.Train.make(graph, S.Policy.bptt, {
      ...options,
      loss: [loss],
      optimizer: S.Optimizer.adam(),
      key: S.Key.make(1),
    })
    for (let update = 1; update <= 150; update++) yield* trainer.step(signals(update), { update, learningRate: 0.01 })

    const predictor = yield* S.Train.makePredictor(graph, { ...options, outputs: "step" })
    yield* predictor.load(yield* trainer.save)
    const { inputs, targets } = signals(0)
    const { outputs } = yield* predictor.predict(inputs)
    const mean = targets.reduce((sum, target) => sum + target, 0) / targets.length
    const squares = (of: (i: number) => number) => targets.reduce((sum, target, i) => sum + (target - of(i)) ** 2, 0)
    const explained = 1 - squares((i) => outputs[i]!) / squares(() => mean)
    console.log(`${name.padEnd(14)} ${Math.round(100 * explained)} % of the variance explained`)
  }
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
