import { layer } from "@spikeroute/backend-reference"
import * as S from "@spikeroute/core"
import { Effect } from "effect"

const network = S.Graph.sequential(
  S.conv2d({ channels: 8, kernelSize: 3, padding: 1 }),
  S.lif({ tau: 2 }), // u[t] = (1 − 1/τ)·v[t−1] + x[t]; a spike if u ≥ 1
  S.averagePool({ kernelSize: 2 }),
  S.flatten(),
  S.linear({ features: 2 }),
)

// Policies are composed from smaller ones: this is SLTT, trained on the last two time steps only.
const policy = S.Policy.sltt.pipe(S.Policy.trainOn(S.Steps.last(2)))

// Two 8 × 8 images: a horizontal bar and a vertical bar.
const inputs = new Float32Array(2 * 64)
for (let i = 0; i < 8; i++) inputs[3 * 8 + i] = inputs[64 + i * 8 + 3] = 1
const labels = Float32Array.of(0, 1)

const program = Effect.gen(function* () {
  const graph = yield* S.Graph.make([8, 8, 1], network)
  const trainer = yield* S.Train.make(graph, policy, {
    batchSize: 2,
    timeSteps: 6,
    loss: S.defaultLoss,
    optimizer: S.Optimizer.adam(),
    key: S.Key.make(1),
  })
  console.log(`peak memory, known before it runs: ${S.Program.formatBytes(trainer.program.arenaBytes)}`)
  for (let update = 1; update <= 30; update++) {
    const { loss } = yield* trainer.step({ inputs, labels }, { update, learningRate: 0.01 })
    if (update % 10 === 0) console.log(`update ${update}: loss ${loss.toFixed(3)}`)
  }
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
