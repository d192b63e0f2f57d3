/**
 * Sequence labelling: one class per time step, where some steps do not count. The signal resembles an ECG: beats with a P wave, a QRS
 * complex and a T wave, at varying heart rates, with noise and a drifting baseline. Each step belongs to one of the waves or to none. Steps
 * near the ends of a wave, on which experts disagree too, do not count.
 */
import { layer } from "@spikeroute/backend-reference"
import * as S from "@spikeroute/core"
import { Effect } from "effect"

const [timeSteps, batchSize, channels] = [80, 16, 12]
const waves = [
  { name: "P", at: 0.18, width: 0.045, height: 0.25 },
  { name: "QRS", at: 0.38, width: 0.02, height: 1 },
  { name: "T", at: 0.68, width: 0.07, height: 0.4 },
]
const classes = waves.length + 1

/** Frames [T, N, channels]: the signal's level and its change, each encoded by channels that respond to a range of values. Labels [T, N]. */
const signals = (seed: number) => {
  const draw = S.Key.uniform(S.Key.make(seed), new Float32Array(4 * batchSize + timeSteps * batchSize))
  const inputs = new Float32Array(timeSteps * batchSize * channels)
  const labels = new Float32Array(timeSteps * batchSize)
  for (let n = 0; n < batchSize; n++) {
    const [period, phase, drift] = [28 + 16 * draw[4 * n]!, draw[4 * n + 1]!, draw[4 * n + 2]!]
    let before = 0
    for (let t = 0; t < timeSteps; t++) {
      const beat = (t / period + phase) % 1
      const noise = 0.04 * (draw[4 * batchSize + t * batchSize + n]! - 0.5)
      let level = noise + 0.05 * Math.sin((2 * Math.PI * t) / 60 + 6 * drift)
      let label = 0
      waves.forEach(({ at, width, height }, i) => {
        const distance = Math.abs(beat - at) / width
        level += height * Math.exp(-0.5 * distance ** 2)
        if (distance < 1.4) label = i + 1
        else if (distance < 2.2) label = -1
      })
      const change = level - before
      before = level
      const frame = inputs.subarray((t * batchSize + n) * channels, (t * batchSize + n + 1) * channels)
      for (let c = 0; c < channels / 2; c++) {
        frame[c] = level > 0.08 + 0.12 * c ? 1 : 0
        frame[channels / 2 + c] = c % 2 === 0 ? Number(change > 0.02 * (c + 1)) : Number(change < -0.02 * c)
      }
      labels[t * batchSize + n] = label
    }
  }
  return { inputs, labels }
}

const network = S.Graph.sequential(
  S.recurrent((x, fedBack) => {
    const input = S.linear({ features: 48 })(x, "input")
    const recurrent = S.linear({ features: 48, bias: false })(fedBack, "recurrent")
    return S.adaptiveLif({ decay: 0.85, adaptationDecay: 0.95, strength: 0.3 })(S.add(input, recurrent), "neurons")
  }),
  S.linear({ features: classes }),
  S.leakyReadout({ tau: 4 }),
)

const program = Effect.gen(function* () {
  const graph = yield* S.Graph.make([channels], network)
  const options = { batchSize, timeSteps, encoding: "frames" } as const
  const trainer = yield* S.Train.make(graph, S.Policy.bptt, {
    ...options,
    // Most steps belong to no wave.
    loss: [S.Losses.crossEntropy({ classWeights: [0.5, 1, 1, 1] }), S.Losses.firingRate({ rate: 0.1 })],
    optimizer: S.Optimizer.adam(),
    key: S.Key.make(1),
  })
  for (let update = 1; update <= 60; update++) {
    const { loss } = yield* trainer.step(signals(update), { update, learningRate: 0.01 })
    if (update % 20 === 0) console.log(`update ${update}: loss ${loss.toFixed(3)}`)
  }

  const predictor = yield* S.Train.makePredictor(graph, { ...options, outputs: "step" })
  yield* predictor.load(yield* trainer.save)
  const { inputs, labels } = signals(0)
  const { outputs } = yield* predictor.predict(inputs)
  for (const [label, name] of ["none", ...waves.map((wave) => wave.name)].entries()) {
    const own = labels.map((each) => (each === label ? label : -1))
    const counted = own.filter((each) => each === label).length
    const right = S.Train.hits(outputs, own, 1)
    console.log(`${name.padEnd(5)} ${Math.round((100 * right) / counted)} % of ${counted} steps`)
  }
  console.log(`${labels.filter((label) => label < 0).length} steps do not count`)
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
